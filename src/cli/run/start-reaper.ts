/** Leaves the removal of an ended task to another process, so that `run --remove async` can return. */
import type { TaskId } from '../../core/ids.ts';
import { withFd } from '../../sys/paths.ts';
import { posixSpawn } from '../../sys/posix-spawn.ts';
import { openNullDevice, PLAIN_ENVIRONMENT, pickVariables } from '../../sys/start-program.ts';

/** The variables that determine the installation. */
const LAYOUT_VARIABLES = ['STACKSHIM_ROOT', 'STACKSHIM_RUN', 'STACKSHIM_POLICY'] as const;

/** Starts `stackshim reap --wait ID`, which removes the task once this process, its owner, has ended. Returns false if it cannot be started. */
export async function startReaper(id: TaskId): Promise<boolean> {
  const args = ['reap', '--wait', id];
  const env = { ...PLAIN_ENVIRONMENT, ...pickVariables(LAYOUT_VARIABLES, process.env) };
  try {
    return await withFd(openNullDevice('both'), async (nullDevice) => {
      const stdio = [nullDevice, nullDevice, nullDevice];
      await posixSpawn({ path: process.execPath, args, env, stdio });
      return true;
    });
  } catch {
    return false;
  }
}
