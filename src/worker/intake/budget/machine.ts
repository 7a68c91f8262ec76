/** Computes how much of this machine tasks of jobs may reserve. Pure. */
import type { Policy } from '../../../spec/policy.ts';
import type { Needs } from '../../taken-job.ts';

/** The size of a machine. The disk is the root folder's filesystem. */
export interface Machine {
  readonly memoryBytes: number;
  readonly cpus: number;
  freeDiskBytes(): number;
  /** The size of the whole filesystem, free or not. */
  diskBytes(): number;
}

const MEMORY_RESERVE = 0.05;
const LEAST_MEMORY_RESERVE = 256 * 1024 * 1024;

/** Memory and processors times the policy's factors, less the policy's memory reserve. Default reserve: 5 % of the memory, at least 256 MiB. */
export function toCapacity(
  machine: Pick<Machine, 'memoryBytes' | 'cpus'>,
  { worker, reserves }: Pick<Policy, 'worker' | 'reserves'>,
): Pick<Needs, 'memoryBytes' | 'cpus'> {
  const { memoryBytes, cpus } = machine;
  const reserve =
    reserves.memoryBytes ?? Math.max(memoryBytes * MEMORY_RESERVE, LEAST_MEMORY_RESERVE);
  return {
    memoryBytes: Math.max(0, Math.floor(memoryBytes * worker.memory - reserve)),
    cpus: cpus * worker.cpus,
  };
}

/**
 * Estimates the free disk space as if running tasks had written nothing: at least what is free now, at most that plus all reservations. The exact
 * value is known while nothing is reserved, and kept as long as it may be true.
 */
export function estimateDisk(freeBytes: number, reservedBytes: number, before: number): number {
  return Math.min(Math.max(before, freeBytes), freeBytes + reservedBytes);
}

/** Adds the disk space for tasks: by the policy's factor, less its reserve. */
export const withDisk = (
  capacity: Pick<Needs, 'memoryBytes' | 'cpus'>,
  diskBytes: number,
  { worker, reserves }: Pick<Policy, 'worker' | 'reserves'>,
): Needs => ({
  ...capacity,
  diskBytes: Math.max(0, Math.floor(diskBytes * worker.disk - (reserves.diskBytes ?? 0))),
});
