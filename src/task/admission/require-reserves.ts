/** What the policy keeps free for the host. Loaded only where it keeps anything. */

import { readFileSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import type { ContainerSpec } from '../../spec/task-spec.ts';
import { freeBytesAt } from '../../sys/files.ts';

/**
 * Throws ERR_STACKSHIM_HOST_EXHAUSTED when a task that took all the memory it may would leave less than the policy reserves, or when
 * the filesystem of the root folder has less free than that. A look at one moment: what tasks that run already may still take is not counted.
 */
export function requireReserves(root: string, { admission, limits }: ContainerSpec): void {
  const { memoryBytes, diskBytes } = admission.reserves;
  if (memoryBytes !== undefined) {
    const free = parseAvailable(readFileSync('/proc/meminfo', 'utf8')) - limits.memoryBytes;
    if (free < memoryBytes) throw exhausted('memory', free, memoryBytes);
  }
  if (diskBytes !== undefined) {
    const free = freeBytesAt(root);
    if (free < diskBytes) throw exhausted('disk', free, diskBytes);
  }
}

/** MemAvailable in bytes: proc_meminfo(5). 0 when it is not told. */
function parseAvailable(meminfo: string): number {
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024;
}

function exhausted(what: string, free: number, reserved: number): StackshimError {
  return new StackshimError(
    'ERR_STACKSHIM_HOST_EXHAUSTED',
    `start task: it would leave ${Math.max(0, free)} bytes of ${what} free, but the policy reserves ${reserved}`,
    { details: { resource: what, free: Math.max(0, free), reserved } },
  );
}
