/** The real kernel behind the `System` port. */
import { linuxDeviceNodes } from './device-nodes.ts';
import { linuxDisks } from './linux-disks.ts';
import { linuxMounts } from './linux-mounts.ts';
import { linuxProcesses } from './linux-processes.ts';
import { linuxStreams } from './linux-streams.ts';
import { linuxWatches } from './linux-watches.ts';
import type { System } from './system.ts';

export const linuxSystem: System = {
  ...linuxDeviceNodes,
  ...linuxDisks,
  ...linuxMounts,
  ...linuxProcesses,
  ...linuxStreams,
  ...linuxWatches,
};
