/** Leaves the removal of an ended task to a process of its own, so that `run --remove async` can return. */
import { closeSync } from 'node:fs';
import type { TaskId } from '../core/ids.ts';
import { posixSpawn } from '../sys/posix-spawn.ts';
import { openNullDevice, PLAIN_ENVIRONMENT, pickVariables } from '../sys/start-program.ts';

/** Which installation it is. */
const LAYOUT_VARIABLES = ['STACKSHIM_ROOT', 'STACKSHIM_RUN', 'STACKSHIM_POLICY'] as const;

/**
 * Starts `stackshim reap --wait ID`: it removes the task once this process, its owner, is gone. False when the system has no room for
 * another process.
 */
export async function startReaper(id: TaskId): Promise<boolean> {
  const args = ['reap', '--wait', id];
  const env = { ...PLAIN_ENVIRONMENT, ...pickVariables(LAYOUT_VARIABLES, process.env) };
  try {
    const silent = openNullDevice('both');
    try {
      const stdio = [silent, silent, silent];
      await posixSpawn({ path: process.execPath, args, env, stdio });
      return true;
    } finally {
      closeSync(silent);
    }
  } catch {
    return false;
  }
}
