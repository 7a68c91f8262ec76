/** Writes a planned task's record: from then on, the task exists. */
import { constants } from 'node:os';
import { errnoCodeOf, toStackshimError } from '../core/errors.ts';
import type { ImageDigest } from '../core/ids.ts';
import { withoutCopy } from '../runtime/runtime-version.ts';
import { isImageStored } from '../store/images/image.ts';
import { ownIdentity } from '../sys/processes.ts';
import type { Installation } from './installation.ts';
import type { ContainerPlan } from './plan-container.ts';
import type { CommandPlan } from './plan-task.ts';
import { createRecord, dropRecord, OwnRecord, type TaskRecord } from './records/record.ts';
import { namesOf } from './records/task-places.ts';

/** A plan; without a command for a container that waits for one. */
export interface RecordedPlan {
  readonly container: ContainerPlan;
  readonly command?: CommandPlan;
}

export interface Recorded<P extends RecordedPlan> {
  readonly plan: P;
  readonly record: OwnRecord;
  readonly startedAt: Date;
}

/** Plans a task and writes its record. Throws the errors of `plan`, ERR_STACKSHIM_TASK_CONFLICT, _DISK_FULL, _SYSTEM; then there is no record. */
export async function recordTask<P extends RecordedPlan>(
  installation: Installation,
  plan: () => Promise<P>,
): Promise<Recorded<P>> {
  const recorded = writeRecord(installation, await plan());
  const { image, codeImage = image } = recorded.record.value;
  const isKept = (each: ImageDigest) => isImageStored(installation.layout, each);
  if (isKept(image) && isKept(codeImage)) return recorded;
  // The image was collected before the record protected it, so its stack or package has a new image by now: plan again.
  dropRecord(recorded.plan.container.places);
  return writeRecord(installation, await plan());
}

function writeRecord<P extends RecordedPlan>({ layout }: Installation, plan: P): Recorded<P> {
  const startedAt = new Date();
  const record = toRecord(plan, startedAt);
  const { places } = plan.container;
  try {
    createRecord(layout, places, record);
  } catch (error) {
    const full = errnoCodeOf(error) === 'ENOSPC';
    const code = full ? 'ERR_STACKSHIM_DISK_FULL' : 'ERR_STACKSHIM_SYSTEM';
    throw toStackshimError(error, code, `create task ${places.id}`);
  }
  return { plan, record: new OwnRecord(places, record), startedAt };
}

const { SIGTERM } = constants.signals;

/** The record of a task owned by this process. */
export function toRecord({ container, command }: RecordedPlan, now: Date): TaskRecord {
  const { spec, pinned, places, runtime, files } = container;
  const stopSignal = command?.stopSignal ?? SIGTERM;
  const ofCommand = (command?.files.length ?? 0) + (command?.hasProgress ? 1 : 0);
  return {
    id: places.id,
    owner: ownIdentity(),
    stack: pinned.stack,
    revision: pinned.revision,
    image: pinned.image.digest,
    ...(spec.tenant === undefined ? {} : { tenant: spec.tenant }),
    runtime: withoutCopy(runtime),
    bindCount: spec.mounts.length + files.length + ofCommand,
    command: command?.command ?? [],
    ...(command === undefined ? {} : { origin: command.origin }),
    ...((command?.spec.code ?? command?.packaged) === undefined ? {} : { hasCode: true }),
    ...(command?.packaged === undefined ? {} : { codeImage: command.packaged.image.digest }),
    labels: command?.spec.labels ?? {},
    ...(stopSignal === SIGTERM ? {} : { stopSignal }),
    createdAt: now.toISOString(),
    kept: false,
    disowned: false,
    names: namesOf(places),
  };
}
