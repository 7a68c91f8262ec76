/** The driver of a runtime: the one place that tells them apart. */
import type { Runtime, RuntimeKind } from '../runtime.ts';
import { crun, other, runc } from './runc.ts';
import { runsc } from './runsc.ts';
import type { RuntimeDriver } from './runtime-driver.ts';

const drivers: Readonly<Record<RuntimeKind, RuntimeDriver>> = { runc, crun, runsc, other };

/** What is looked for by name: the Debian package and `--version` call it the same. */
export const RUNTIME_NAMES = ['runc', 'crun', 'runsc'] as const;
export const RUNTIME_KINDS: readonly RuntimeKind[] = [...RUNTIME_NAMES, 'other'];

/** Undefined, for a task whose record cannot be read: nothing is known of the runtime. */
export const driverOf = (runtime: Pick<Runtime, 'kind'> | undefined): RuntimeDriver =>
  drivers[runtime?.kind ?? 'other'];

/** For the removal of a task whose record cannot be read: runsc's driver looks wherever any runtime keeps state. No program is started. */
export const UNRECORDED_RUNTIME: Runtime = { kind: 'runsc', path: '/usr/bin/runsc', version: '' };
