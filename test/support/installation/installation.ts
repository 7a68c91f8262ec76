/** A test file's own installation: new folders and the busybox stack, all removed afterwards. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll } from 'vitest';
import type { Layout } from '../../../src/core/layout.ts';
import { useLeakCheck } from '../host/leak-check.ts';
import { installBusyboxStack } from '../stacks/busybox-stack.ts';
import { disposeInstallation } from './dispose-installation.ts';
import {
  envOf,
  layoutBelow,
  makeInstallationFolder,
  optionsOf,
  prepareLayout,
  type RunOptions,
} from './test-layout.ts';

/** What tests that change stacks leave on purpose: stored files and locks. */
export const STORED =
  /^file \S+\/lib\/(stacks|packages|images|generations|layers|locks|current)(\/|$)/;

/** A cache, which an export or a lookup by an unknown digest leaves. */
const PACKED = /^file \S+\/lib\/layers\/[0-9a-f]{64}\.packed$/;

export interface TestInstallation {
  readonly layout: Layout;
  /** For `runTask`. */
  readonly options: RunOptions;
  /** For the executable. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Registers the hooks of a describe or a file; every test in it is checked for leaks.
 * `allow` contains patterns of what the tests leave on purpose.
 */
export function useInstallation(allow: readonly RegExp[] = []): TestInstallation {
  const folder = makeInstallationFolder('test');
  const layout = layoutBelow(folder);
  beforeAll(async () => {
    prepareLayout(layout);
    await installBusyboxStack(layout);
  });
  afterAll(() => {
    disposeInstallation(layout);
    rmSync(folder, { recursive: true });
  });
  useLeakCheck({ roots: () => [layout.root, layout.run], allow: [PACKED, ...allow] });
  return { layout, options: optionsOf(layout), env: envOf(layout) };
}
