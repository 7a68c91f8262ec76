/** Removes an ended task of this process, and releases what the task held. */
import { existsSync } from 'node:fs';
import { nextTurn } from '../../core/pause.ts';
import type { Holdings } from '../holdings.ts';
import type { Installation } from '../installation.ts';
import type { ContainerPlan } from '../plan-container.ts';
import type { OwnRecord } from '../records/record.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { type Removal, removeTask } from './remove-task.ts';

export interface OwnTask {
  readonly installation: Installation;
  readonly container: ContainerPlan;
  /** Whether the writable layer and the record stay. */
  readonly keep: boolean;
  readonly record: OwnRecord;
  readonly holdings: Holdings;
}

/** What exists of an ended task whose removal has not begun. */
export const notRemovedYet = ({ taskDir, scratchDir, volumeFile }: TaskPlaces): Removal => ({
  removed: false,
  leftovers: [taskDir, scratchDir, volumeFile].filter((path) => existsSync(path)),
});

/** Removes the task. Never rejects. */
export async function removeOwn({ installation, ...task }: OwnTask): Promise<Removal> {
  await nextTurn();
  const { container, record, holdings } = task;
  const { places, runtime } = container;
  const keep = task.keep && record.tryNote({ kept: true });
  const removal = await removeTask(installation, {
    places,
    bindCount: record.value.bindCount,
    runtime,
    keep,
    disk: holdings.get('disk'),
  });
  if (removal.removed || keep) {
    await holdings.release();
  } else {
    // What is left may use the slot's ids, so the slot stays taken until a reap, which anybody may now run.
    record.tryNote({ disowned: true });
    holdings.close();
  }
  return removal;
}
