/** Maps a runtime to its driver; no other code distinguishes kinds of runtimes. */
import { existsSync } from 'node:fs';
import type { Runtime, RuntimeKind } from '../runtime.ts';
import { crun, other, runc } from './runc.ts';
import { runsc } from './runsc.ts';
import type { RuntimeDriver } from './runtime-driver.ts';

const drivers: Readonly<Record<RuntimeKind, RuntimeDriver>> = { runc, crun, runsc, other };

/** The runtimes to find by name; also the names of their Debian packages, and in the output of `--version`. */
export const RUNTIME_NAMES = ['runc', 'crun', 'runsc'] as const;
export const RUNTIME_KINDS: readonly RuntimeKind[] = [...RUNTIME_NAMES, 'other'];

/** A runtime's driver. Undefined: the unknown runtime of a task whose record cannot be read. */
export const driverOf = (runtime: Pick<Runtime, 'kind'> | undefined): RuntimeDriver =>
  drivers[runtime?.kind ?? 'other'];

/** The program to start. Checks the copy: a task may have waited since its planning, and `gc` removes copies of replaced runtimes. */
export const programOf = ({ path, copy }: Runtime): string =>
  copy !== undefined && existsSync(copy) ? copy : path;

/** To remove a task whose record cannot be read: runsc's driver looks wherever any runtime keeps state. Starts no program. */
export const UNRECORDED_RUNTIME: Runtime = { kind: 'runsc', path: '/usr/bin/runsc', version: '' };
