/** Kills tasks whose permit has run out, for an owner that promised to renew it and is stopped, busy, or cut off from whom it asks. */
import { toStackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { bootMs } from '../../sys/clocks.ts';
import type { Owner } from '../../sys/processes.ts';
import { Killing } from '../ending/kill-processes.ts';
import type { Installation } from '../installation.ts';
import { readRecord } from '../records/read-record.ts';
import { recordedPlaces } from '../records/task-places.ts';
import type { Permit } from './guard-words.ts';

/** How often to look while there are permits. */
const PERMIT_LOOK_MS = 100;

export class PermitHolder {
  readonly #installation: Installation;
  readonly #isMine: (owner: Owner) => boolean;
  readonly #until = new Map<TaskId, number>();
  readonly #killings = new Map<TaskId, Killing | null>();
  #timer: NodeJS.Timeout | undefined;

  constructor(installation: Installation, isMine: (owner: Owner) => boolean) {
    this.#installation = installation;
    this.#isMine = isMine;
  }

  note({ id, untilMs }: Permit): void {
    if (untilMs === null) this.#until.delete(id);
    else this.#until.set(id, untilMs);
    this.#killings.delete(id);
    if (this.#until.size === 0) this.close();
    else this.#timer ??= setInterval(() => this.#look(), PERMIT_LOOK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A task that its owner still sets up, or sets up when it runs again, is killed by a later look. */
  #look(): void {
    const now = bootMs();
    for (const [id, untilMs] of this.#until) {
      if (now >= untilMs && this.#killings.get(id) !== null) void this.#kill(id);
    }
  }

  async #kill(id: TaskId): Promise<void> {
    const begun = this.#killings.get(id);
    this.#killings.set(id, null);
    let killing: Killing | undefined;
    try {
      const { layout } = this.#installation;
      const record = readRecord(layout, id);
      if (record === undefined || record.kept || !this.#isMine(record.owner)) return;
      killing =
        begun ?? new Killing(this.#installation, recordedPlaces(layout, record).cgroupsPath);
      await killing.again();
    } catch (error) {
      // The next look retries; the warning tells the operator of this process what failed.
      const operation = `kill task ${id} without a permit`;
      process.emitWarning(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation));
    } finally {
      if (this.#killings.get(id) === null) {
        if (killing === undefined) this.#killings.delete(id);
        else this.#killings.set(id, killing);
      }
    }
  }
}
