/** Stops another process's task: sends its stop signal, then KILL. */
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
 * Returns a function that stops the task.
 *
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
  /** True: the task will not act on its stop signal, so do not wait; undefined: the signal has not been sent. */
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
    // Even if pid 1 is gone: the kernel drops pid 1 before the other processes have ended.
    if (isFutile || (isFutile === false && performance.now() > killAt)) {
      killAgain ??= beginKilling(installation, cgroupsPath);
      await killAgain();
    }
  };
}
