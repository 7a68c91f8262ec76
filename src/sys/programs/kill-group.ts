/** Ends a program that leads a process group, with all that is in it. */
import { errnoCodeOf } from '../../core/errors.ts';

export function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (errnoCodeOf(error) !== 'ESRCH') throw error;
  }
}
