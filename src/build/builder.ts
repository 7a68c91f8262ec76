/** What a build runs with: its locks, its home, and the receiver of its output. */

import type { BuildPhase, ProgressListener } from '../exchange/progress.ts';
import { runContained } from '../exchange/run-contained.ts';
import type { FileLock } from '../sys/lock.ts';
import type { System } from '../sys/system.ts';
import { withBuilderDevices } from './builder-devices.ts';
import type { BuilderHome } from './builder-home.ts';

export interface Builder {
  readonly system: System;
  /** Locks that are free once every program of the build is gone. Keep them few: mmdebstrap makes a shell write to a descriptor below 10. */
  readonly locks: readonly FileLock[];
  readonly home: BuilderHome;
  readonly report: ProgressListener;
  readonly signal: AbortSignal | undefined;
}

/** Runs a program of the build; each line that it prints is progress of `step`. Throws like {@link runContained}. */
export async function runInBuilder(
  builder: Builder,
  step: BuildPhase,
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { system, locks, home, report, signal } = builder;
  await runContained(command, {
    system,
    locks,
    within: withBuilderDevices(home.tmp),
    env: { ...home.env, ...env },
    onLine: (text) => report({ kind: 'line', step, text }),
    signal,
  });
}

/** Runs a buildah command on the build's own storage. */
export async function runBuildah(
  builder: Builder,
  step: BuildPhase,
  command: readonly string[],
): Promise<void> {
  await runInBuilder(builder, step, ['buildah', ...builder.home.globalOptions, ...command]);
}
