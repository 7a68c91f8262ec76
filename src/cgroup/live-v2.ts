/** Inspects and changes running tasks' cgroups in the unified hierarchy. */
import { writeFile } from 'node:fs/promises';
import { tolerate } from '../core/errors.ts';
import type { LiveCgroups, LiveLimits, LiveUsage } from './cgroup-driver.ts';
import {
  FREEZE_FILE,
  parseKeyed,
  scaleCount,
  sumV2Devices,
  US_PER_MS,
  writeIfThere,
} from './cgroup-files.ts';
import {
  freezeGroup,
  readCount,
  readCounterFile,
  readLimit,
  toBusy,
  withoutCache,
} from './live-files.ts';
import { CPU_PERIOD_US, quotaOf } from './share-group.ts';

export const liveV2 = (at: (cgroupsPath: string) => string): LiveCgroups => ({
  readUsage: (cgroupsPath) => readUsage(at(cgroupsPath)),
  setLimits: (cgroupsPath, limits) => setLimits(at(cgroupsPath), limits),
  async freeze(cgroupsPath) {
    const directory = at(cgroupsPath);
    return await freezeGroup({
      order: () => writeIfThere(`${directory}/${FREEZE_FILE}`, '1'),
      isFrozen: () => parseKeyed(readCounterFile(directory, 'cgroup.events'), 'frozen') === 1,
      thaw: () => void writeIfThere(`${directory}/${FREEZE_FILE}`, '0'),
    });
  },
});

function readUsage(directory: string): LiveUsage {
  const io = readCounterFile(directory, 'io.stat');
  const cached = parseKeyed(readCounterFile(directory, 'memory.stat'), 'inactive_file');
  return {
    cpuMs: scaleCount(parseKeyed(readCounterFile(directory, 'cpu.stat'), 'usage_usec'), US_PER_MS),
    memoryBytes: withoutCache(readCount(directory, 'memory.current'), cached),
    memoryLimitBytes: readLimit(directory, 'memory.max'),
    memoryPeakBytes: readCount(directory, 'memory.peak'),
    pids: readCount(directory, 'pids.current'),
    pidsLimit: readLimit(directory, 'pids.max'),
    pidsPeak: readCount(directory, 'pids.peak'),
    ioReadBytes: sumV2Devices(io, 'rbytes'),
    ioWriteBytes: sumV2Devices(io, 'wbytes'),
    oomKills: parseKeyed(readCounterFile(directory, 'memory.events'), 'oom_kill'),
    isFrozen: readCount(directory, FREEZE_FILE) === 1,
  };
}

async function setLimits(directory: string, limits: LiveLimits): Promise<void> {
  const { memoryBytes, cpus, pids } = limits;
  const write = (file: string, text: string) =>
    writeFile(`${directory}/${file}`, text, { flag: 'r+' });
  if (memoryBytes !== undefined) {
    await makeRoom(directory, memoryBytes);
    await write('memory.max', String(memoryBytes));
  }
  if (pids !== undefined) await write('pids.max', String(pids));
  if (cpus !== undefined) await write('cpu.max', `${quotaOf(cpus)} ${CPU_PERIOD_US}`);
}

/** Frees pages first (`memory.reclaim`): if too few can be freed for a limit below the usage, the kernel would kill processes. */
async function makeRoom(directory: string, memoryBytes: number): Promise<void> {
  const excess = (readCount(directory, 'memory.current') ?? 0) - memoryBytes;
  if (excess <= 0) return;
  const freed = writeFile(`${directory}/memory.reclaim`, String(excess), { flag: 'r+' });
  // EAGAIN: the kernel freed less. ENOENT: this kernel has no such file.
  await freed.catch(tolerate('EAGAIN', 'ENOENT'));
  if ((readCount(directory, 'memory.current') ?? 0) > memoryBytes) throw toBusy(directory);
}
