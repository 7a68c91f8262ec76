/** The cgroup driver for separate hierarchies. Files: Documentation/admin-guide/cgroup-v1 of the kernel. */
import { writeFileSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';
import type { CgroupDriver, CgroupUsage } from './cgroup-driver.ts';
import {
  CounterReader,
  childNames,
  existingDirectories,
  FREEZER_FILE,
  listTreeProcesses,
  NS_PER_MS,
  parseKeyed,
  removeTrees,
  SOCKET_LIMIT_FILE,
  scaleCount,
  sumV1Devices,
  writeIfThere,
} from './cgroup-files.ts';
import { cgroupDirectory, isSharedParent } from './cgroup-names.ts';
import type { V1Controller, V1Directory } from './live-v1.ts';

/** One mounted hierarchy. */
export interface CgroupHierarchy {
  readonly mountPoint: string;
  /** `memory`, `cpu`, …; empty for a named hierarchy and for the cgroup2 of a hybrid host, where runtimes create folders, too. */
  readonly controllers: readonly string[];
}

export interface CgroupV1Options {
  readonly hierarchies: readonly CgroupHierarchy[];
}

/** The unit of cpuacct.stat: USER_HZ, which is 100 on every supported architecture. */
const TICKS_PER_MS = 0.1;

/** A driver of cgroup v1, hybrid hosts included. */
export function cgroupV1(options: CgroupV1Options): CgroupDriver {
  const { hierarchies } = options;
  const reader = new CounterReader();
  const directoriesOf = (cgroupsPath: string) =>
    hierarchies.map(({ mountPoint }) => cgroupDirectory(mountPoint, cgroupsPath));
  const rootOf = (controller: string) =>
    hierarchies.find(({ controllers }) => controllers.includes(controller))?.mountPoint;
  const roots: Readonly<Record<V1Controller, string | undefined>> = {
    memory: rootOf('memory'),
    cpu: rootOf('cpu'),
    cpuacct: rootOf('cpuacct'),
    pids: rootOf('pids'),
    blkio: rootOf('blkio'),
    freezer: rootOf('freezer'),
  };
  // Every runtime puts a task's processes into each of these hierarchies.
  const processRoot = roots.pids ?? roots.memory ?? roots.freezer ?? hierarchies[0]?.mountPoint;
  const at: V1Directory = (controller, cgroupsPath) => {
    const root = roots[controller];
    return root === undefined ? undefined : cgroupDirectory(root, cgroupsPath);
  };
  return {
    version: 1,
    controllers: hierarchies.flatMap(({ controllers }) => controllers),
    readUsage: (cgroupsPath) =>
      readUsage(reader, {
        memory: at('memory', cgroupsPath),
        cpu: at('cpu', cgroupsPath),
        cpuacct: at('cpuacct', cgroupsPath),
        pids: at('pids', cgroupsPath),
        blkio: at('blkio', cgroupsPath),
      }),
    limitSockets: (cgroupsPath, bytes) => limitSockets(at('memory', cgroupsPath), bytes),
    readSocketBytes: (cgroupsPath) =>
      reader.readNumber(at('memory', cgroupsPath), 'memory.kmem.tcp.usage_in_bytes'),
    readCpuMs: (cgroupsPath) =>
      scaleCount(reader.readNumber(at('cpuacct', cgroupsPath), 'cpuacct.usage'), NS_PER_MS),
    readOomKills: (cgroupsPath) => readOomKills(reader, at('memory', cgroupsPath)),
    listProcesses: (cgroupsPath) =>
      processRoot === undefined ? [] : listTreeProcesses(cgroupDirectory(processRoot, cgroupsPath)),
    async killProcesses(cgroupsPath) {
      if (processRoot === undefined) return;
      const { killFrozen } = await import('./kill-group.ts');
      const directory = cgroupDirectory(processRoot, cgroupsPath);
      await killFrozen(at('freezer', cgroupsPath), directory);
    },
    isFrozen(cgroupsPath) {
      const state = reader.read(at('freezer', cgroupsPath), FREEZER_FILE)?.trim();
      return state === 'FROZEN' || state === 'FREEZING';
    },
    thaw(cgroupsPath) {
      const freezer = at('freezer', cgroupsPath);
      if (freezer !== undefined) writeIfThere(`${freezer}/${FREEZER_FILE}`, 'THAWED');
    },
    async openLive() {
      const { liveV1 } = await import('./live-v1.ts');
      return liveV1(at);
    },
    async shareGroup(cgroupsPath, share) {
      const { shareV1 } = await import('./share-group.ts');
      const [cpu, memory, blkio] = (['cpu', 'memory', 'blkio'] as const).map((controller) =>
        at(controller, cgroupsPath),
      );
      await shareV1({ cpu, memory, blkio }, share);
    },
    children: (cgroupsPath) => [...new Set(directoriesOf(cgroupsPath).flatMap(childNames))],
    existing: (cgroupsPath) => existingDirectories(directoriesOf(cgroupsPath)),
    remove: (cgroupsPath) =>
      removeTrees(directoriesOf(cgroupsPath), { descend: !isSharedParent(cgroupsPath) }),
  };
}

type UsageDirectories = Readonly<
  Record<'memory' | 'cpu' | 'cpuacct' | 'pids' | 'blkio', string | undefined>
>;

function readUsage(reader: CounterReader, directories: UsageDirectories): CgroupUsage {
  const io =
    reader.read(directories.blkio, 'blkio.throttle.io_service_bytes_recursive') ??
    reader.read(directories.blkio, 'blkio.throttle.io_service_bytes');
  return {
    ...readCpu(reader, directories.cpuacct),
    cpuThrottledMs: scaleCount(
      parseKeyed(reader.read(directories.cpu, 'cpu.stat'), 'throttled_time'),
      NS_PER_MS,
    ),
    memoryPeakBytes: reader.readNumber(directories.memory, 'memory.max_usage_in_bytes'),
    socketPeakBytes: reader.readNumber(directories.memory, 'memory.kmem.tcp.max_usage_in_bytes'),
    pidsPeak: reader.readNumber(directories.pids, 'pids.peak'),
    oomKills: readOomKills(reader, directories.memory),
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

function readCpu(
  reader: CounterReader,
  directory: string | undefined,
): Pick<CgroupUsage, 'cpuUserMs' | 'cpuSystemMs'> {
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

/**
 * Limits the buffers of sockets on cgroup v1, which does not count them as memory. `directory` is in the memory hierarchy; undefined if
 * there is none.
 */
function limitSockets(directory: string | undefined, bytes: number): void {
  if (directory === undefined) return;
  const file = `${directory}/${SOCKET_LIMIT_FILE}`;
  unlessMissing(() => writeFileSync(file, String(bytes), { flag: 'r+' }));
}
