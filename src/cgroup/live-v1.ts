/** Inspects and changes running tasks' cgroups in separate hierarchies. */
import { writeFile } from 'node:fs/promises';
import type { LiveCgroups, LiveLimits, LiveUsage } from './cgroup-driver.ts';
import {
  type DirectoryOf,
  FREEZER_FILE,
  NS_PER_MS,
  parseKeyed,
  scaleCount,
  sumV1Devices,
  writeIfThere,
} from './cgroup-files.ts';
import { freezeGroup, readCount, readCounterFile, readLimit, withoutCache } from './live-files.ts';
import { CPU_PERIOD_US, limitMemoryV1, quotaOf } from './share-group.ts';

/** The file of an unlimited cgroup holds the largest number of pages. */
const NO_MEMORY_LIMIT = 2 ** 62;

export const liveV1 = (at: (cgroupsPath: string) => DirectoryOf): LiveCgroups => ({
  readUsage: (cgroupsPath) => readUsage(at(cgroupsPath)),
  setLimits: (cgroupsPath, limits) => setLimits(at(cgroupsPath), limits),
  async freeze(cgroupsPath) {
    const freezer = at(cgroupsPath)('freezer');
    if (freezer === undefined) return 'gone';
    const state = `${freezer}/${FREEZER_FILE}`;
    return await freezeGroup({
      order: () => writeIfThere(state, 'FROZEN'),
      isFrozen: () => readCounterFile(freezer, FREEZER_FILE)?.trimEnd() === 'FROZEN',
      thaw: () => void writeIfThere(state, 'THAWED'),
    });
  },
});

function readUsage(of: DirectoryOf): LiveUsage {
  const memory = of('memory');
  const pids = of('pids');
  const io =
    readCounterFile(of('blkio'), 'blkio.throttle.io_service_bytes_recursive') ??
    readCounterFile(of('blkio'), 'blkio.throttle.io_service_bytes');
  const cached = parseKeyed(readCounterFile(memory, 'memory.stat'), 'total_inactive_file');
  return {
    cpuMs: scaleCount(readCount(of('cpuacct'), 'cpuacct.usage'), NS_PER_MS),
    memoryBytes: withoutCache(readCount(memory, 'memory.usage_in_bytes'), cached),
    memoryLimitBytes: readLimit(memory, 'memory.limit_in_bytes', NO_MEMORY_LIMIT),
    memoryPeakBytes: readCount(memory, 'memory.max_usage_in_bytes'),
    pids: readCount(pids, 'pids.current'),
    pidsLimit: readLimit(pids, 'pids.max'),
    pidsPeak: readCount(pids, 'pids.peak'),
    ioReadBytes: sumV1Devices(io, 'Read'),
    ioWriteBytes: sumV1Devices(io, 'Write'),
    oomKills: parseKeyed(readCounterFile(memory, 'memory.oom_control'), 'oom_kill'),
    isFrozen: readCounterFile(of('freezer'), FREEZER_FILE)?.startsWith('FR') ?? false,
  };
}

async function setLimits(of: DirectoryOf, { memoryBytes, cpus, pids }: LiveLimits): Promise<void> {
  const memory = of('memory');
  if (memoryBytes !== undefined && memory !== undefined) {
    // EBUSY: the kernel refuses a limit below what it cannot free.
    await limitMemoryV1(memory, memoryBytes);
  }
  const processes = of('pids');
  if (pids !== undefined && processes !== undefined) {
    await writeFile(`${processes}/pids.max`, String(pids), { flag: 'r+' });
  }
  const cpu = of('cpu');
  if (cpus !== undefined && cpu !== undefined) {
    await writeFile(`${cpu}/cpu.cfs_period_us`, String(CPU_PERIOD_US), { flag: 'r+' });
    await writeFile(`${cpu}/cpu.cfs_quota_us`, String(quotaOf(cpus)), { flag: 'r+' });
  }
}
