/** Sets the share of a tenant's tasks on either cgroup version. Asynchronous: while the kernel moves a process to another cgroup, mkdir(2) blocks. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { errnoCodeOf } from '../core/errors.ts';
import type { CgroupShare } from './cgroup-driver.ts';
import { type DirectoryOf, SOCKET_LIMIT_FILE } from './cgroup-files.ts';

export const CPU_PERIOD_US = 100_000;
/** The kernel's smallest quota: cgroup-v2.rst, cpu.max. */
const CPU_QUOTA_MIN_US = 1000;
/** The usual weights of v1 and v2. */
const USUAL_SHARES = 1024;
const USUAL_WEIGHT = 100;
const SHARES_MIN = 2;
/** Weights of the BFQ scheduler: block/bfq-iosched.h. */
const BFQ_WEIGHT_MAX = 1000;

/** The time of `cpus` processors in a period, in microseconds. */
export const quotaOf = (cpus: number) =>
  Math.max(CPU_QUOTA_MIN_US, Math.round(cpus * CPU_PERIOD_US));

export async function shareV1(of: DirectoryOf, share: CgroupShare): Promise<void> {
  const { weight, cpus, memoryBytes } = share;
  const [cpu, memory, blkio] = [of('cpu'), of('memory'), of('blkio')];
  for (const directory of [cpu, memory, blkio]) {
    if (directory !== undefined) await mkdir(directory, { recursive: true });
  }
  if (cpu !== undefined) {
    const shares = Math.max(SHARES_MIN, Math.round((weight / USUAL_WEIGHT) * USUAL_SHARES));
    await writeFile(`${cpu}/cpu.shares`, String(shares));
    await writeFile(`${cpu}/cpu.cfs_period_us`, String(CPU_PERIOD_US));
    await writeFile(`${cpu}/cpu.cfs_quota_us`, String(cpus === null ? -1 : quotaOf(cpus)));
  }
  if (memory !== undefined) await limitMemoryV1(memory, memoryBytes ?? -1);
  if (blkio !== undefined) await weighIo(blkio, 'blkio.weight', 'blkio.bfq.weight', weight);
}

/** The memory limit must never exceed that of memory and swap together: the write order depends on whether the cap grows or shrinks. */
export async function limitMemoryV1(directory: string, bytes: number): Promise<void> {
  const files = ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes']
    .map((name) => `${directory}/${name}`)
    .filter((file) => existsSync(file));
  try {
    await writeEach(files, bytes);
  } catch (error) {
    if (errnoCodeOf(error) !== 'EINVAL') throw error;
    await writeEach(files.reverse(), bytes);
  }
  const sockets = `${directory}/${SOCKET_LIMIT_FILE}`;
  if (existsSync(sockets)) await writeFile(sockets, String(bytes));
}

async function writeEach(files: readonly string[], bytes: number): Promise<void> {
  for (const file of files) await writeFile(file, String(bytes));
}

/** @param parents The folders above the tenant's, outermost first; each must enable the controllers for its children. */
export async function shareV2(
  directory: string,
  share: CgroupShare,
  parents: readonly string[],
  controllers: readonly string[],
): Promise<void> {
  const { weight, cpus, memoryBytes } = share;
  await mkdir(directory, { recursive: true });
  for (const parent of parents) {
    for (const name of controllers) await writeFile(`${parent}/cgroup.subtree_control`, `+${name}`);
  }
  if (controllers.includes('cpu')) {
    await writeFile(`${directory}/cpu.weight`, String(weight));
    const quota = cpus === null ? 'max' : String(quotaOf(cpus));
    await writeFile(`${directory}/cpu.max`, `${quota} ${CPU_PERIOD_US}`);
  }
  if (controllers.includes('memory')) {
    await writeFile(`${directory}/memory.max`, memoryBytes === null ? 'max' : String(memoryBytes));
    // Tasks have no swap anyway.
    const swap = `${directory}/memory.swap.max`;
    if (existsSync(swap)) await writeFile(swap, memoryBytes === null ? 'max' : '0');
  }
  if (controllers.includes('io')) await weighIo(directory, 'io.weight', 'io.bfq.weight', weight);
}

/** Writes the file that the kernel has, of the two; without both, tasks share disks without weights. */
async function weighIo(directory: string, plain: string, bfq: string, weight: number) {
  const [file, value] = existsSync(`${directory}/${plain}`)
    ? [`${directory}/${plain}`, weight]
    : [`${directory}/${bfq}`, Math.min(weight, BFQ_WEIGHT_MAX)];
  if (existsSync(file)) await writeFile(file, String(value));
}
