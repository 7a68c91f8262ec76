/** Worker ids for tests of inner functions: claimed in the machine's folder, as installations do. */
import type { WorkerHost } from '../../../src/archive/claim-worker.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { MACHINE_SLOTS } from './machine-slots.ts';

export const workers: WorkerHost = { system: linuxSystem, layout: { slots: MACHINE_SLOTS } };
