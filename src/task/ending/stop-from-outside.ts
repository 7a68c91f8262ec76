/** Stops a task that another process owns: first its stop signal, then KILL. */
import { constants } from 'node:os';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import type { Installation } from '../installation.ts';
import type { TaskRecord } from '../records/record.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { findInit, Killing } from './kill-processes.ts';
import { terminateTask } from './stop-task.ts';

const { SIGTERM } = constants.signals;

export interface OutsideStopOptions {
  /** Time from now until KILL. */
  readonly graceMs: number;
  /** Whether another process has sent the stop signal. Default: false. */
  readonly isAsked?: boolean;
}

export class OutsideStop {
  readonly #installation: Installation;
  readonly #places: TaskPlaces;
  readonly #killAt: number;
  /** True: the task will not act on its stop signal, so do not wait for it; undefined: the signal was not sent yet. */
  #isFutile: boolean | undefined;
  #killing: Killing | undefined;

  constructor(
    installation: Installation,
    places: TaskPlaces,
    { graceMs, isAsked = false }: OutsideStopOptions,
  ) {
    this.#installation = installation;
    this.#places = places;
    this.#killAt = performance.now() + graceMs;
    this.#isFutile = isAsked ? false : undefined;
  }

  /** Sends the signals that are due. Call it again until the task has ended. */
  async again(record: Pick<TaskRecord, 'runtime' | 'stopSignal'> | null): Promise<void> {
    const { cgroups } = this.#installation;
    const { cgroupsPath } = this.#places;
    const init = findInit(cgroups, this.#places, record?.runtime);
    if (init !== undefined && this.#isFutile === undefined) {
      const signalInside = driverOf(record?.runtime).signaller?.(this.#places);
      const { stopSignal = SIGTERM } = record ?? {};
      const processes = { pid: init, cgroupsPath, signalInside };
      this.#isFutile = !(await terminateTask(cgroups, processes, { stopSignal }));
    }
    // Also when pid 1 is gone: for the kernel, pid 1 goes before the others have ended.
    if (this.#isFutile || (this.#isFutile === false && performance.now() > this.#killAt)) {
      this.#killing ??= new Killing(this.#installation, cgroupsPath);
      await this.#killing.again();
    }
  }
}
