/** The real kernel behind the `System` port. */
import { linuxDeviceNodes } from './device-nodes.ts';
import { linuxDisks } from './linux-disks.ts';
import { linuxMounts } from './linux-mounts.ts';
import { linuxProcesses } from './linux-processes.ts';
import { linuxStreams } from './linux-streams.ts';
import { linuxWatches } from './linux-watches.ts';
import { linuxNetNamespaces } from './net-namespace.ts';
import { isMainThread } from './processes.ts';
import type { System } from './system.ts';
import { closeAtThreadExit } from './thread-descriptors.ts';

const system: System = {
  ...linuxDeviceNodes,
  ...linuxDisks,
  ...linuxMounts,
  ...linuxNetNamespaces,
  ...linuxProcesses,
  ...linuxStreams,
  ...linuxWatches,
};

export const linuxSystem: System = isMainThread() ? system : closeAtThreadExit(system);
