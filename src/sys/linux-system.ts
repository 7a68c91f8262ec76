/** The kernel behind the `System` port. */
import { linuxDisks } from './linux-disks.ts';
import { linuxFiles } from './linux-files.ts';
import { linuxMounts } from './linux-mounts.ts';
import { linuxNetNamespaces, linuxProcesses } from './linux-processes.ts';
import { linuxStreams } from './linux-streams.ts';
import { isMainThread } from './processes.ts';
import type { Fd, System } from './system.ts';

const system: System = {
  ...linuxDisks,
  ...linuxFiles,
  ...linuxMounts,
  ...linuxNetNamespaces,
  ...linuxProcesses,
  ...linuxStreams,
};

export const linuxSystem: System = isMainThread() ? system : closeAtThreadExit(system);

/**
 * The same system, which closes its open descriptors when the thread exits. Otherwise descriptors that a worker thread opened through libc would
 * stay open in the process: a mount descriptor keeps its filesystem, a pidfd its process. Node itself closes those of `node:fs`. A terminated
 * thread runs no code, so its descriptors stay open.
 */
function closeAtThreadExit(system: System): System {
  const open = new Set<Fd>();
  const opening =
    <A extends readonly unknown[]>(method: (...args: A) => Fd) =>
    (...args: A): Fd => {
      const fd = method(...args);
      open.add(fd);
      return fd;
    };
  process.once('exit', () => open.forEach(system.close));
  return {
    ...system,
    openTreeClone: opening(system.openTreeClone),
    openRealTreeClone: opening(system.openRealTreeClone),
    fsOpen: opening(system.fsOpen),
    fsMount: opening(system.fsMount),
    openPidfd: opening(system.openPidfd),
    openSocketDiagnosis: opening(system.openSocketDiagnosis),
    createEpoll: opening(system.createEpoll),
    watchFolder: opening(system.watchFolder),
    close(fd) {
      open.delete(fd);
      system.close(fd);
    },
    closeAside(fd) {
      open.delete(fd);
      return system.closeAside(fd);
    },
  };
}
