/** The cgroup driver for separate hierarchies. Files: Documentation/admin-guide/cgroup-v1 of the kernel. */
import { isThere } from '../sys/files.ts';
import type { CgroupDriver, CgroupUsage } from './cgroup-driver.ts';
import {
  CounterReader,
  childNames,
  type DirectoryOf,
  FREEZER_FILE,
  listTreeProcesses,
  NS_PER_MS,
  parseKeyed,
  removeTrees,
  SOCKET_LIMIT_FILE,
  scaleCount,
  sumV1Devices,
  type V1Controller,
  writeIfThere,
} from './cgroup-files.ts';
import { cgroupDirectory, isSharedParent } from './cgroup-names.ts';

/** One mounted hierarchy. */
export interface CgroupHierarchy {
  readonly mountPoint: string;
  /** `memory`, `cpu`, …; empty for a named hierarchy and for a hybrid host's cgroup2, where runtimes create folders, too. */
  readonly controllers: readonly string[];
}

/** The unit of cpuacct.stat: USER_HZ, which is 100 on every supported architecture. */
const TICKS_PER_MS = 0.1;

/** A driver for cgroup v1, including hybrid hosts. */
export function cgroupV1(hierarchies: readonly CgroupHierarchy[]): CgroupDriver {
  const reader = new CounterReader();
  const directoriesOf = (cgroupsPath: string) =>
    hierarchies.map(({ mountPoint }) => cgroupDirectory(mountPoint, cgroupsPath));
  const rootOf = (controller: V1Controller) =>
    hierarchies.find(({ controllers }) => controllers.includes(controller))?.mountPoint;
  // Every runtime puts a task's processes into each of these hierarchies.
  const processRoot =
    rootOf('pids') ?? rootOf('memory') ?? rootOf('freezer') ?? hierarchies[0]?.mountPoint;
  const at =
    (cgroupsPath: string): DirectoryOf =>
    (controller) => {
      const root = rootOf(controller);
      return root === undefined ? undefined : cgroupDirectory(root, cgroupsPath);
    };
  return {
    version: 1,
    controllers: hierarchies.flatMap(({ controllers }) => controllers),
    readUsage: (cgroupsPath) => readUsage(reader, at(cgroupsPath)),
    limitSockets(cgroupsPath, bytes) {
      const memory = at(cgroupsPath)('memory');
      if (memory !== undefined) writeIfThere(`${memory}/${SOCKET_LIMIT_FILE}`, String(bytes));
    },
    readSocketBytes: (cgroupsPath) =>
      reader.readNumber(at(cgroupsPath)('memory'), 'memory.kmem.tcp.usage_in_bytes'),
    readCpuMs: (cgroupsPath) =>
      scaleCount(reader.readNumber(at(cgroupsPath)('cpuacct'), 'cpuacct.usage'), NS_PER_MS),
    readOomKills: (cgroupsPath) => readOomKills(reader, at(cgroupsPath)('memory')),
    listProcesses: (cgroupsPath) =>
      processRoot === undefined ? [] : listTreeProcesses(cgroupDirectory(processRoot, cgroupsPath)),
    async killProcesses(cgroupsPath) {
      if (processRoot === undefined) return;
      const { killFrozen } = await import('./kill-group.ts');
      const directory = cgroupDirectory(processRoot, cgroupsPath);
      await killFrozen(at(cgroupsPath)('freezer'), directory);
    },
    isFrozen(cgroupsPath) {
      const state = reader.read(at(cgroupsPath)('freezer'), FREEZER_FILE)?.trim();
      return state === 'FROZEN' || state === 'FREEZING';
    },
    thaw(cgroupsPath) {
      const freezer = at(cgroupsPath)('freezer');
      if (freezer !== undefined) writeIfThere(`${freezer}/${FREEZER_FILE}`, 'THAWED');
    },
    async openLive() {
      const { liveV1 } = await import('./live-v1.ts');
      return liveV1(at);
    },
    async shareGroup(cgroupsPath, share) {
      const { shareV1 } = await import('./share-group.ts');
      await shareV1(at(cgroupsPath), share);
    },
    children: (cgroupsPath) => [
      ...new Set(directoriesOf(cgroupsPath).flatMap((directory) => childNames(directory))),
    ],
    existing: (cgroupsPath) => directoriesOf(cgroupsPath).filter(isThere),
    remove: (cgroupsPath) =>
      removeTrees(directoriesOf(cgroupsPath), { descend: !isSharedParent(cgroupsPath) }),
  };
}

function readUsage(reader: CounterReader, of: DirectoryOf): CgroupUsage {
  const memory = of('memory');
  const io =
    reader.read(of('blkio'), 'blkio.throttle.io_service_bytes_recursive') ??
    reader.read(of('blkio'), 'blkio.throttle.io_service_bytes');
  return {
    ...readCpu(reader, of('cpuacct')),
    cpuThrottledMs: scaleCount(
      parseKeyed(reader.read(of('cpu'), 'cpu.stat'), 'throttled_time'),
      NS_PER_MS,
    ),
    memoryPeakBytes: reader.readNumber(memory, 'memory.max_usage_in_bytes'),
    socketPeakBytes: reader.readNumber(memory, 'memory.kmem.tcp.max_usage_in_bytes'),
    pidsPeak: reader.readNumber(of('pids'), 'pids.peak'),
    oomKills: readOomKills(reader, memory),
    oomGroupKills: null,
    ioReadBytes: sumV1Devices(io, 'Read'),
    ioWriteBytes: sumV1Devices(io, 'Write'),
    cpuPressureMs: null,
    memoryPressureMs: null,
    ioPressureMs: null,
  };
}

function readOomKills(reader: CounterReader, directory: string | undefined): number | null {
  return parseKeyed(reader.read(directory, 'memory.oom_control'), 'oom_kill');
}

function readCpu(reader: CounterReader, directory: string | undefined) {
  const user = reader.readNumber(directory, 'cpuacct.usage_user');
  const system = reader.readNumber(directory, 'cpuacct.usage_sys');
  if (user !== null && system !== null) {
    return { cpuUserMs: user / NS_PER_MS, cpuSystemMs: system / NS_PER_MS };
  }
  const stat = reader.read(directory, 'cpuacct.stat');
  return {
    cpuUserMs: scaleCount(parseKeyed(stat, 'user'), TICKS_PER_MS),
    cpuSystemMs: scaleCount(parseKeyed(stat, 'system'), TICKS_PER_MS),
  };
}
