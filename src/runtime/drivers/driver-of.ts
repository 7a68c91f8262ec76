/** Maps a runtime to its driver. No other code distinguishes the kinds of runtimes. */
import { existsSync } from 'node:fs';
import type { Runtime, RuntimeKind } from '../runtime.ts';
import { crun, other, runc } from './runc.ts';
import { runsc } from './runsc.ts';
import type { RuntimeDriver } from './runtime-driver.ts';

const drivers: Readonly<Record<RuntimeKind, RuntimeDriver>> = { runc, crun, runsc, other };

/** The runtimes that can be found by name. The Debian package and the output of `--version` have the same name. */
export const RUNTIME_NAMES = ['runc', 'crun', 'runsc'] as const;
export const RUNTIME_KINDS: readonly RuntimeKind[] = [...RUNTIME_NAMES, 'other'];

/** The driver of a runtime. Undefined stands for the unknown runtime of a task whose record cannot be read. */
export const driverOf = (runtime: Pick<Runtime, 'kind'> | undefined): RuntimeDriver =>
  drivers[runtime?.kind ?? 'other'];

/** The program to start. A task may have waited since it was planned, and `gc` removes the copy of a runtime that was replaced. */
export const programOf = ({ path, copy }: Runtime): string =>
  copy !== undefined && existsSync(copy) ? copy : path;

/** For removing a task whose record cannot be read: runsc's driver looks in every place where any runtime keeps state. No program is started. */
export const UNRECORDED_RUNTIME: Runtime = { kind: 'runsc', path: '/usr/bin/runsc', version: '' };
