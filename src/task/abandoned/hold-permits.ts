/** Kills tasks whose permit has expired because the owner did not renew it: it is stopped, busy, or cannot reach whoever allows a renewal. */
import type { TaskId } from '../../core/ids.ts';
import { bootMs } from '../../sys/clocks.ts';
import type { Owner } from '../../sys/processes.ts';
import { beginKilling, type KillAgain } from '../ending/kill-processes.ts';
import { warnOf } from '../events.ts';
import type { Installation } from '../installation.ts';
import { readRecord } from '../records/read-record.ts';
import { recordedPlaces } from '../records/task-places.ts';
import type { Permit } from './guard-words.ts';

/** The time between looks while there are permits. */
const PERMIT_LOOK_MS = 100;

export function holdPermits(installation: Installation, isMine: (owner: Owner) => boolean) {
  const until = new Map<TaskId, number>();
  const killings = new Map<TaskId, KillAgain | null>();
  let timer: NodeJS.Timeout | undefined;
  const kill = async (id: TaskId) => {
    const begun = killings.get(id);
    killings.set(id, null);
    let killAgain: KillAgain | undefined;
    try {
      const { layout } = installation;
      const record = readRecord(layout, id);
      if (record === undefined || record.kept || !isMine(record.owner)) return;
      killAgain = begun ?? beginKilling(installation, recordedPlaces(layout, record).cgroupsPath);
      await killAgain();
    } catch (error) {
      warnOf(`kill task ${id} without a permit`, error);
    } finally {
      if (killings.get(id) === null) {
        if (killAgain === undefined) killings.delete(id);
        else killings.set(id, killAgain);
      }
    }
  };
  /** A later look kills a task that its owner is still setting up, or sets up when it runs again. */
  const look = () => {
    const now = bootMs();
    for (const [id, untilMs] of until) {
      if (now >= untilMs && killings.get(id) !== null) void kill(id);
    }
  };
  const close = () => {
    clearInterval(timer);
    timer = undefined;
  };
  const note = ({ id, untilMs }: Permit) => {
    if (untilMs === null) until.delete(id);
    else until.set(id, untilMs);
    killings.delete(id);
    if (until.size === 0) close();
    else timer ??= setInterval(look, PERMIT_LOOK_MS);
  };
  return { note, close };
}
