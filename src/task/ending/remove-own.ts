/** Removes an ended task of this process, and gives back what the task held. */
import { existsSync } from 'node:fs';
import { nextTurn } from '../../core/pause.ts';
import type { Holdings } from '../holdings.ts';
import type { Installation } from '../installation.ts';
import type { ContainerPlan } from '../plan-container.ts';
import { replaceRecord, type TaskRecord } from '../records/record.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { type Removal, removeTask } from './remove-task.ts';

export interface OwnTask {
  readonly installation: Installation;
  readonly container: ContainerPlan;
  /** The writable layer and the record stay. */
  readonly keep: boolean;
  readonly record: TaskRecord;
  readonly holdings: Holdings;
}

/** What there is of an ended task whose removal has not begun. */
export const notRemovedYet = ({ taskDir, scratchDir, volumeFile }: TaskPlaces): Removal => ({
  removed: false,
  leftovers: [taskDir, scratchDir, volumeFile].filter((path) => existsSync(path)),
});

/** Never rejects. */
export async function removeOwn({ installation, ...task }: OwnTask): Promise<Removal> {
  await nextTurn();
  const { container, record, holdings } = task;
  const { places, runtime } = container;
  const keep = task.keep && tryReplaceRecord(places, { ...record, kept: true });
  const removal = await removeTask(installation, {
    places,
    bindCount: record.bindCount,
    runtime,
    keep,
    disk: holdings.get('disk'),
  });
  if (removal.removed || keep) {
    await holdings.release();
  } else {
    // What is left may use the slot's ids, and counts: until it is reaped, which anybody may from now on.
    tryReplaceRecord(places, { ...record, disowned: true });
    holdings.abandon();
  }
  return removal;
}

/** False when it cannot be written: then the record is as it was. */
function tryReplaceRecord(places: TaskPlaces, record: TaskRecord): boolean {
  try {
    replaceRecord(places, record);
    return true;
  } catch {
    return false;
  }
}
