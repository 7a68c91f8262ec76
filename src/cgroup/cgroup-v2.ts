/** The cgroup driver for the unified hierarchy. Files: Documentation/admin-guide/cgroup-v2.rst of the kernel. */
import { dirname } from 'node:path';
import { isThere } from '../sys/files.ts';
import type { CgroupDriver, CgroupUsage } from './cgroup-driver.ts';
import {
  CounterReader,
  childNames,
  FREEZE_FILE,
  listTreeProcesses,
  parseCount,
  parseKeyed,
  removeTrees,
  scaleCount,
  sumV2Devices,
  US_PER_MS,
  writeIfThere,
} from './cgroup-files.ts';
import { cgroupDirectory, isSharedParent } from './cgroup-names.ts';

/** Controllers for a tenant's share and its tasks' limits. */
const HANDED_ON = ['cpu', 'memory', 'pids', 'io'];

/** A driver for cgroup v2, mounted at `root`. Reads the list of controllers right away. */
export function cgroupV2(root: string): CgroupDriver {
  const reader = new CounterReader();
  const at = (cgroupsPath: string) => cgroupDirectory(root, cgroupsPath);
  const listed = reader.read(root, 'cgroup.controllers')?.trim() ?? '';
  const controllers = listed === '' ? [] : listed.split(' ');
  return {
    version: 2,
    controllers,
    readUsage: (cgroupsPath) => readUsage(reader, at(cgroupsPath)),
    // cgroup v2 charges socket buffers as memory.
    limitSockets: () => undefined,
    readSocketBytes: (cgroupsPath) =>
      parseKeyed(reader.read(at(cgroupsPath), 'memory.stat'), 'sock'),
    readCpuMs: (cgroupsPath) =>
      scaleCount(parseKeyed(reader.read(at(cgroupsPath), 'cpu.stat'), 'usage_usec'), US_PER_MS),
    readOomKills: (cgroupsPath) =>
      parseKeyed(reader.read(at(cgroupsPath), 'memory.events'), 'oom_kill'),
    listProcesses: (cgroupsPath) => listTreeProcesses(at(cgroupsPath)),
    async killProcesses(cgroupsPath) {
      const { killUnified } = await import('./kill-group.ts');
      killUnified(at(cgroupsPath));
    },
    isFrozen: (cgroupsPath) => reader.read(at(cgroupsPath), FREEZE_FILE)?.trim() === '1',
    thaw(cgroupsPath) {
      writeIfThere(`${at(cgroupsPath)}/${FREEZE_FILE}`, '0');
    },
    async openLive() {
      const { liveV2 } = await import('./live-v2.ts');
      return liveV2(at);
    },
    async shareGroup(cgroupsPath, share) {
      const { shareV2 } = await import('./share-group.ts');
      const directory = at(cgroupsPath);
      const handedOn = controllers.filter((name) => HANDED_ON.includes(name));
      await shareV2(directory, share, [root, dirname(directory)], handedOn);
    },
    children: (cgroupsPath) => childNames(at(cgroupsPath)),
    existing: (cgroupsPath) => [at(cgroupsPath)].filter(isThere),
    remove: (cgroupsPath) =>
      removeTrees([at(cgroupsPath)], { descend: !isSharedParent(cgroupsPath) }),
  };
}

function readUsage(reader: CounterReader, directory: string): CgroupUsage {
  const cpu = reader.read(directory, 'cpu.stat');
  const io = reader.read(directory, 'io.stat');
  const events = reader.read(directory, 'memory.events');
  return {
    cpuUserMs: scaleCount(parseKeyed(cpu, 'user_usec'), US_PER_MS),
    cpuSystemMs: scaleCount(parseKeyed(cpu, 'system_usec'), US_PER_MS),
    cpuThrottledMs: scaleCount(parseKeyed(cpu, 'throttled_usec'), US_PER_MS),
    memoryPeakBytes: reader.readNumber(directory, 'memory.peak'),
    socketPeakBytes: null,
    pidsPeak: reader.readNumber(directory, 'pids.peak'),
    // Includes the victims of a group kill.
    oomKills: parseKeyed(events, 'oom_kill'),
    oomGroupKills: parseKeyed(events, 'oom_group_kill'),
    ioReadBytes: sumV2Devices(io, 'rbytes'),
    ioWriteBytes: sumV2Devices(io, 'wbytes'),
    cpuPressureMs: parsePressure(reader.read(directory, 'cpu.pressure')),
    memoryPressureMs: parsePressure(reader.read(directory, 'memory.pressure')),
    ioPressureMs: parsePressure(reader.read(directory, 'io.pressure')),
  };
}

/** The total of the line `some avg10=… total=MICROSECONDS` (psi.rst). */
function parsePressure(text: string | null): number | null {
  const total = /^some .*\btotal=(\d+)$/m.exec(text ?? '')?.[1];
  return scaleCount(parseCount(total), US_PER_MS);
}
