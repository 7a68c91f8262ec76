/** An installation to build stacks in: folders with Dockerfiles of busybox, and smoke commands that run as real tasks. */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import {
  type BuildResult,
  type BuildStackOptions,
  buildStack,
} from '../../../src/build/build-stack.ts';
import type { Layout } from '../../../src/core/layout.ts';
import { runTask } from '../../../src/door/open-stackshim.ts';
import type { SmokeRunner } from '../../../src/exchange/smoke.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import type { TaskResult } from '../../../src/task/result.ts';
import { useLeakCheck } from '../host/leak-check.ts';
import { disposeInstallation } from '../installation/dispose-installation.ts';
import {
  envOf,
  layoutBelow,
  makeInstallationFolder,
  optionsOf,
  prepareLayout,
} from '../installation/test-layout.ts';

export interface BuildLab {
  readonly layout: Layout;
  /** For the executable. */
  readonly env: Readonly<Record<string, string>>;
  /** Writes a stack's folder with busybox, a Dockerfile of these lines, and other files by name. */
  writeStack(
    name: string,
    dockerfile: readonly string[],
    files?: Readonly<Record<string, string>>,
  ): string;
  build(directory: string, options?: Partial<BuildStackOptions>): Promise<BuildResult>;
  run(stack: string, command: readonly string[]): Promise<TaskResult>;
  /** Whether a build has left a folder. */
  hasWork(): boolean;
}

/** Dockerfile lines for an image with only busybox. */
export const BUSYBOX_IMAGE = [
  'FROM scratch',
  'COPY busybox /bin/busybox',
  'ENV PATH=/bin',
  'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
];

/** Built stacks are left on purpose. */
export const BUILT =
  /^file \S+\/lib\/(build|stacks|packages|images|generations|layers|locks|current)(\/|$)/;

/** Registers the hooks of a file; every test in it is checked for leaks. */
export function useBuildLab(): BuildLab {
  const folder = makeInstallationFolder('build');
  const layout = layoutBelow(folder);
  const { root, run } = layout;
  beforeAll(() => prepareLayout(layout));
  afterAll(() => {
    disposeInstallation(layout);
    rmSync(folder, { recursive: true });
  });
  useLeakCheck({ roots: () => [root, run], allow: [BUILT] });
  const options = optionsOf(layout);
  const runSmoke: SmokeRunner = ({ stack, revision }, command, { timeoutMs, signal }) =>
    runTask(
      { stack: `${stack}@rev:${revision}`, command, timeout: timeoutMs },
      { ...options, ...(signal === undefined ? {} : { signal }) },
    );
  return {
    layout,
    env: envOf(layout),
    writeStack(name, dockerfile, files = {}) {
      const directory = join(folder, 'stacks', name);
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(directory, { recursive: true });
      cpSync('/bin/busybox', join(directory, 'busybox'), { dereference: true });
      const all = { ...files, Dockerfile: `${dockerfile.join('\n')}\n` };
      for (const [file, text] of Object.entries(all)) writeFileSync(join(directory, file), text);
      return directory;
    },
    build: (directory, given = {}) =>
      buildStack(layout, directory, { system: linuxSystem, runSmoke, ...given }),
    run: (stack, command) => runTask({ stack, command }, options),
    hasWork: () => ['0', '1'].some((home) => existsSync(`${root}/build/${home}`)),
  };
}
