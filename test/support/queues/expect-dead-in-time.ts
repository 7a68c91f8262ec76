/** The guarantee of a worker's guard: the task of a worker that does not act any more is dead before the lock of its job is gone. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { waitUntil } from '../timing/wait-until.ts';

/**
 * Waits until the process `pid` is dead, and compares the time with the end of the lock. Compares times, because asking for the lock takes long on
 * a busy machine.
 *
 * @param lockEndMs When the lock of the job expires, in milliseconds since 1970; 0 if it has expired.
 */
export async function expectDeadInTime(
  pid: number,
  lockEndMs: () => Promise<number>,
): Promise<void> {
  const before = await lockEndMs();
  await waitUntil(() => isDead(pid));
  const deadAt = Date.now();
  // A renewal may have been under way when the worker was hit.
  const end = Math.max(before, await lockEndMs());
  expect(deadAt).toBeLessThan(end);
}

function isDead(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}
