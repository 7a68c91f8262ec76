/** Leaves the removal of an ended task to a process of its own, so that `run --remove async` can return. */
import { spawn } from 'node:child_process';
import type { TaskId } from '../core/ids.ts';
import { PLAIN_ENVIRONMENT, pickVariables } from '../sys/program-environment.ts';
import { started } from '../sys/started.ts';

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
    const reaper = await started(
      spawn(process.execPath, args, { detached: true, stdio: 'ignore', cwd: '/', env }),
    );
    reaper.unref();
    return true;
  } catch {
    return false;
  }
}
