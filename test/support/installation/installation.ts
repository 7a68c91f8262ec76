/** A test file's own installation: new folders and the busybox stack, all removed afterwards. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { Layout } from '../../../src/core/layout.ts';
import { useLeakCheck } from '../host/leak-check.ts';
import { installBusyboxStack } from '../stacks/busybox-stack.ts';
import { disposeInstallation } from './dispose-installation.ts';
import { MACHINE_SLOTS } from './machine-slots.ts';
import { linkPatchedRunc } from './patched-runc.ts';
import { writePolicy } from './write-policy.ts';

/** What tests that change stacks leave on purpose: stored files and locks. */
export const STORED = /^file \S+\/lib\/(stacks|images|generations|layers|locks|current)(\/|$)/;

export interface TestInstallation {
  readonly layout: Layout;
  /** For `runTask`. */
  readonly options: { readonly root: string; readonly run: string; readonly policy: string };
  /** For the executable. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Registers the hooks of a describe or a file; every test in it is checked for leaks.
 * `allow` contains patterns of what the tests leave on purpose.
 */
export function useInstallation(allow: readonly RegExp[] = []): TestInstallation {
  const folder = mkdtempSync('/var/tmp/stackshim-test-');
  // The root of a container, an unknown user on the host, must be able to pass through to its root filesystem.
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
  useLeakCheck({ roots: () => [root, run], allow });
  return {
    layout,
    options: { root, run, policy: policyFile },
    env: { STACKSHIM_ROOT: root, STACKSHIM_RUN: run, STACKSHIM_POLICY: policyFile },
  };
}
