/** The cgroup driver of the unified hierarchy. Files: Documentation/admin-guide/cgroup-v2.rst of the kernel. */
import type { CgroupDriver, CgroupUsage } from './cgroup-driver.ts';
import { CounterReader, parseCount, parseKeyed, scaleCount } from './cgroup-files.ts';
import { existingDirectories, listTreeProcesses, removeTree } from './cgroup-tree.ts';
import { cgroupDirectory, isSharedParent } from './cgroups-path.ts';

export interface CgroupV2Options {
  /** Where cgroup2 is mounted: `/sys/fs/cgroup`. */
  readonly root: string;
}

const US_PER_MS = 1000;

/** A driver of cgroup v2. Reads the list of controllers at once. */
export function cgroupV2(options: CgroupV2Options): CgroupDriver {
  const reader = new CounterReader();
  const { root } = options;
  const listed = reader.read(root, 'cgroup.controllers')?.trim() ?? '';
  return {
    version: 2,
    controllers: listed === '' ? [] : listed.split(' '),
    readUsage: (cgroupsPath) => readUsage(reader, cgroupDirectory(root, cgroupsPath)),
    listProcesses: (cgroupsPath) => listTreeProcesses(cgroupDirectory(root, cgroupsPath)),
    existing: (cgroupsPath) => existingDirectories([cgroupDirectory(root, cgroupsPath)]),
    remove: (cgroupsPath) =>
      removeTree(cgroupDirectory(root, cgroupsPath), { descend: !isSharedParent(cgroupsPath) }),
  };
}

function readUsage(reader: CounterReader, directory: string): CgroupUsage {
  const cpu = reader.read(directory, 'cpu.stat');
  const io = reader.read(directory, 'io.stat');
  return {
    cpuUserMs: scaleCount(parseKeyed(cpu, 'user_usec'), US_PER_MS),
    cpuSystemMs: scaleCount(parseKeyed(cpu, 'system_usec'), US_PER_MS),
    memoryPeakBytes: reader.readNumber(directory, 'memory.peak'),
    pidsPeak: reader.readNumber(directory, 'pids.peak'),
    // It counts the victims of a group kill too.
    oomKills: parseKeyed(reader.read(directory, 'memory.events'), 'oom_kill'),
    ioReadBytes: sumDevices(io, 'rbytes'),
    ioWriteBytes: sumDevices(io, 'wbytes'),
  };
}

/** The sum of `key=N` over the lines `MAJOR:MINOR key=N …` of io.stat. */
function sumDevices(text: string | null, key: string): number | null {
  if (text === null) return null;
  let sum = 0;
  for (const word of text.split(/\s+/)) {
    if (word.startsWith(`${key}=`)) sum += parseCount(word.slice(key.length + 1)) ?? 0;
  }
  return sum;
}
