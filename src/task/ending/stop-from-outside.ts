/** Stops a task that another process owns: first its stop signal, then KILL. */
import { constants } from 'node:os';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import type { Installation } from '../installation.ts';
import type { TaskRecord } from '../records/record.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { beginKilling, findInit, type KillAgain } from './kill-processes.ts';
import { terminateTask } from './stop-task.ts';

const { SIGTERM } = constants.signals;

/** Sends the signals that are due. Call it again until the task has ended. */
export type OutsideStop = (
  record: Pick<TaskRecord, 'runtime' | 'stopSignal'> | null,
) => Promise<void>;

/**
 * @param graceMs Time from now until KILL.
 * @param isAsked Whether another process has sent the stop signal.
 */
export function stopFromOutside(
  installation: Installation,
  places: TaskPlaces,
  graceMs: number,
  isAsked = false,
): OutsideStop {
  const { cgroupsPath } = places;
  const killAt = performance.now() + graceMs;
  /** True: the task will not act on its stop signal, so do not wait for it; undefined: the signal was not sent yet. */
  let isFutile = isAsked ? false : undefined;
  let killAgain: KillAgain | undefined;
  return async (record) => {
    const { cgroups } = installation;
    const init = findInit(cgroups, places, record?.runtime);
    if (init !== undefined && isFutile === undefined) {
      const signalInside = driverOf(record?.runtime).signaller?.(places);
      const { stopSignal = SIGTERM } = record ?? {};
      const processes = { pid: init, cgroupsPath, signalInside };
      isFutile = !(await terminateTask(cgroups, processes, stopSignal));
    }
    // Also when pid 1 is gone: for the kernel, pid 1 goes before the others have ended.
    if (isFutile || (isFutile === false && performance.now() > killAt)) {
      killAgain ??= beginKilling(installation, cgroupsPath);
      await killAgain();
    }
  };
}
