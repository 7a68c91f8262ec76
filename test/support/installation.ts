/** An installation of a test file's own: fresh folders, the busybox stack, and nothing of it left afterwards. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { Layout } from '../../src/core/layout.ts';
import { installBusyboxStack } from './busybox-stack.ts';
import { disposeInstallation } from './dispose-installation.ts';
import { useLeakCheck } from './leak-check.ts';
import { MACHINE_SLOTS } from './machine-slots.ts';
import { linkPatchedRunc } from './patched-runc.ts';
import { writePolicy } from './write-policy.ts';

/** What tests leave on purpose that change stacks: what is stored of them, and the files of locks. */
export const STORED = /^file \S+\/lib\/(stacks|images|generations|layers|locks|current)(\/|$)/;

/** A cache: whoever exports an image, or asks for one by an unknown digest, leaves it. */
const PACKED = /^file \S+\/lib\/layers\/[0-9a-f]{64}\.packed$/;

export interface TestInstallation {
  readonly layout: Layout;
  /** For `runTask`. */
  readonly options: { readonly root: string; readonly run: string; readonly policy: string };
  /** For the executable. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Registers the hooks of a describe or a file; every test in it is checked for leaks.
 * `allow` has patterns of what the tests leave on purpose.
 */
export function useInstallation(allow: readonly RegExp[] = []): TestInstallation {
  const folder = mkdtempSync('/var/tmp/stackshim-test-');
  // A container's root, which the host does not know, must pass through to its root filesystem.
  chmodSync(folder, 0o711);
  const root = join(folder, 'lib');
  const run = join(folder, 'run');
  const policyFile = join(folder, 'policy.json');
  const layout: Layout = { root, run, policyFile, slots: MACHINE_SLOTS };
  beforeAll(async () => {
    for (const path of [root, run]) mkdirSync(path, { recursive: true });
    writePolicy(layout);
    linkPatchedRunc(layout);
    await installBusyboxStack(layout);
  });
  afterAll(() => {
    disposeInstallation(layout);
    rmSync(folder, { recursive: true });
  });
  useLeakCheck({ roots: () => [root, run], allow: [PACKED, ...allow] });
  return {
    layout,
    options: { root, run, policy: policyFile },
    env: { STACKSHIM_ROOT: root, STACKSHIM_RUN: run, STACKSHIM_POLICY: policyFile },
  };
}
