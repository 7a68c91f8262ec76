/** What a build is carried out with: its locks, its home, and where its output goes. */
import type { FileLock } from '../sys/lock.ts';
import type { System } from '../sys/system.ts';
import type { BuildStep, ProgressListener } from './build-progress.ts';
import { withBuilderDevices } from './builder-devices.ts';
import type { BuilderHome } from './builder-home.ts';
import { type RunBuilderOptions, runBuilder } from './run-builder.ts';

export interface Builder {
  readonly system: System;
  /** Free only when every program of the build is gone. Few: mmdebstrap has a shell write to a descriptor that must be below 10. */
  readonly locks: readonly FileLock[];
  readonly home: BuilderHome;
  readonly report: ProgressListener;
  readonly signal: AbortSignal | undefined;
}

/** Runs a program of the build; each line it prints is progress of `step`. Throws as {@link runBuilder}. */
export async function runInBuilder(
  builder: Builder,
  step: BuildStep,
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { system, locks, home, report, signal } = builder;
  const options: RunBuilderOptions = {
    system,
    locks,
    within: withBuilderDevices(home.tmp),
    env: { ...home.env, ...env },
    onLine: (text) => report({ kind: 'line', step, text }),
    signal,
  };
  await runBuilder(command, options);
}

/** Runs a buildah command on the build's own storage. */
export async function runBuildah(
  builder: Builder,
  step: BuildStep,
  command: readonly string[],
): Promise<void> {
  await runInBuilder(builder, step, ['buildah', ...builder.home.globalOptions, ...command]);
}
