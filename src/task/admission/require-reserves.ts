/** Enforces the reserves that the policy keeps for the host. Loaded only if there are any. */

import { readFileSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import type { ContainerSpec } from '../../spec/task-spec.ts';
import { freeBytesAt } from '../../sys/files.ts';

/**
 * Throws ERR_STACKSHIM_HOST_EXHAUSTED if the task, at its memory limit, would leave less memory than the policy reserves, or if the root
 * folder's filesystem has less free space than reserved. Considers only the current moment, not what running tasks may still use.
 */
export function requireReserves(root: string, { admission, limits }: ContainerSpec): void {
  const { memoryBytes, diskBytes } = admission.reserves;
  requireMemoryReserve(memoryBytes, limits.memoryBytes);
  if (diskBytes !== undefined) {
    const free = freeBytesAt(root);
    if (free < diskBytes) throw exhausted('start task', 'disk', free, diskBytes);
  }
}

/**
 * Throws ERR_STACKSHIM_HOST_EXHAUSTED if `memoryBytes` more would leave less than the reserve.
 *
 * @param operation The beginning of the message.
 */
export function requireMemoryReserve(
  reserve: number | undefined,
  memoryBytes: number,
  operation = 'start task',
): void {
  if (reserve === undefined) return;
  // proc_meminfo(5)
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  const free = Number(available?.[1] ?? 0) * 1024 - memoryBytes;
  if (free < reserve) throw exhausted(operation, 'memory', free, reserve);
}

function exhausted(
  operation: string,
  what: string,
  free: number,
  reserved: number,
): StackshimError {
  const message = `${operation}: it would leave ${Math.max(0, free)} bytes of ${what} free, but the policy reserves ${reserved}`;
  const details = { resource: what, free: Math.max(0, free), reserved };
  return new StackshimError('ERR_STACKSHIM_HOST_EXHAUSTED', message, { details });
}
