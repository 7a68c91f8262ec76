/** Where tests of the library's inner functions claim ids for programs that read archives: as the machine's installations do. */
import type { WorkerHost } from '../../../src/archive/claim-worker.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { MACHINE_SLOTS } from './machine-slots.ts';

export const workers: WorkerHost = { system: linuxSystem, layout: { slots: MACHINE_SLOTS } };
