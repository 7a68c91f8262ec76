/** The cgroup driver of the separate hierarchies. Files: Documentation/admin-guide/cgroup-v1 of the kernel. */
import type { CgroupDriver, CgroupUsage } from './cgroup-driver.ts';
import { CounterReader, parseCount, parseKeyed, scaleCount } from './cgroup-files.ts';
import { existingDirectories, listTreeProcesses, removeTree } from './cgroup-tree.ts';
import { cgroupDirectory, isSharedParent } from './cgroups-path.ts';

/** One mounted hierarchy. */
export interface CgroupHierarchy {
  readonly mountPoint: string;
  /** `memory`, `cpu`, …; empty for a named hierarchy and for the cgroup2 of a hybrid host, where runtimes make folders as well. */
  readonly controllers: readonly string[];
}

export interface CgroupV1Options {
  readonly hierarchies: readonly CgroupHierarchy[];
}

const NS_PER_MS = 1_000_000;
/** The unit of cpuacct.stat: USER_HZ, which is 100 on every architecture that is supported. */
const TICKS_PER_MS = 0.1;

/** A driver of cgroup v1, hybrid hosts included. */
export function cgroupV1(options: CgroupV1Options): CgroupDriver {
  const { hierarchies } = options;
  const reader = new CounterReader();
  const directoriesOf = (cgroupsPath: string) =>
    hierarchies.map(({ mountPoint }) => cgroupDirectory(mountPoint, cgroupsPath));
  const rootOf = (controller: string) =>
    hierarchies.find(({ controllers }) => controllers.includes(controller))?.mountPoint;
  const roots = {
    memory: rootOf('memory'),
    cpuacct: rootOf('cpuacct'),
    pids: rootOf('pids'),
    blkio: rootOf('blkio'),
  };
  // Every runtime puts a task's processes into each of these.
  const processRoot = roots.pids ?? roots.memory ?? rootOf('freezer') ?? hierarchies[0]?.mountPoint;
  return {
    version: 1,
    controllers: hierarchies.flatMap(({ controllers }) => controllers),
    readUsage(cgroupsPath) {
      const at = (root: string | undefined) =>
        root === undefined ? undefined : cgroupDirectory(root, cgroupsPath);
      return readUsage(reader, {
        memory: at(roots.memory),
        cpuacct: at(roots.cpuacct),
        pids: at(roots.pids),
        blkio: at(roots.blkio),
      });
    },
    listProcesses: (cgroupsPath) =>
      processRoot === undefined ? [] : listTreeProcesses(cgroupDirectory(processRoot, cgroupsPath)),
    existing: (cgroupsPath) => existingDirectories(directoriesOf(cgroupsPath)),
    remove: (cgroupsPath) =>
      directoriesOf(cgroupsPath).flatMap((directory) =>
        removeTree(directory, { descend: !isSharedParent(cgroupsPath) }),
      ),
  };
}

type UsageDirectories = Readonly<
  Record<'memory' | 'cpuacct' | 'pids' | 'blkio', string | undefined>
>;

function readUsage(reader: CounterReader, directories: UsageDirectories): CgroupUsage {
  const io =
    reader.read(directories.blkio, 'blkio.throttle.io_service_bytes_recursive') ??
    reader.read(directories.blkio, 'blkio.throttle.io_service_bytes');
  return {
    ...readCpu(reader, directories.cpuacct),
    memoryPeakBytes: reader.readNumber(directories.memory, 'memory.max_usage_in_bytes'),
    pidsPeak: reader.readNumber(directories.pids, 'pids.peak'),
    oomKills: parseKeyed(reader.read(directories.memory, 'memory.oom_control'), 'oom_kill'),
    ioReadBytes: sumDevices(io, 'Read'),
    ioWriteBytes: sumDevices(io, 'Write'),
  };
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

/** The sum over the lines `MAJOR:MINOR Read N` of a blkio file. */
function sumDevices(text: string | null, operation: string): number | null {
  if (text === null) return null;
  let sum = 0;
  for (const line of text.split('\n')) {
    const [, found, count] = line.split(' ');
    if (found === operation) sum += parseCount(count) ?? 0;
  }
  return sum;
}
