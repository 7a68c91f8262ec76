/** Containers that one process prepares, and another process later runs a command in. Until then, nothing runs in them. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { errnoCodeOf, StackshimError, toStackshimError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import { integer, objectOf, oneOf, optional, readWith, text } from '../core/read-fields.ts';
import { withoutCopy } from '../runtime/runtime-version.ts';
import { readBoundedFile } from '../sys/files.ts';
import type { HandedDisk } from './disk/task-disk.ts';
import { removeOwn } from './ending/remove-task.ts';
import { Holdings } from './holdings.ts';
import type { Installation } from './installation.ts';
import { PhaseClock } from './phase-clock.ts';
import type { ContainerPlan } from './plan-container.ts';
import { type ContainerRequest, planContainerAlone, type TaskPlan } from './plan-task.ts';
import { type HandedContainer, mountLayers, prepareContainer } from './prepare-container.ts';
import { type Recorded, recordTask, toRecord } from './record-task.ts';
import { claimRecord, isWaiting } from './records/claim-record.ts';
import type { TaskRecord } from './records/record.ts';
import { namesOf, type TaskPlaces } from './records/task-places.ts';
import { toSetupError } from './setup-error.ts';

const VERSION = 1;
/** A task may have a thousand binds with two paths each. */
const MAX_BYTES = 16 * 1024 * 1024;

interface WaitingContainer extends HandedContainer {
  readonly version: typeof VERSION;
  /** Describes the plan that the container was prepared for. */
  readonly plan: string;
}

const waitingContainer = objectOf<WaitingContainer>({
  version: oneOf(VERSION),
  plan: text,
  slot: integer(0),
  disk: objectOf<HandedDisk>({
    mechanism: oneOf('quota', 'volume', 'sampling'),
    project: optional(integer(0)),
  }),
});

/**
 * Prepares a container for a command that is not known yet. The container belongs to this process until
 * another claims it by its id with {@link claimContainer}; if this process ends first, a reap removes
 * it. Rejects with set-up errors after removing the container; a reap removes what could not be removed.
 */
export async function prepareForOthers(
  installation: Installation,
  request: ContainerRequest,
  signal: AbortSignal,
): Promise<TaskId> {
  const { plan, record } = await recordTask(installation, async () => ({
    container: await planContainerAlone(installation, request),
  }));
  const { container } = plan;
  const { places } = container;
  const holdings = new Holdings();
  try {
    const clock = new PhaseClock();
    const context = { installation, clock, signal, holdings, record };
    await mountLayers(container, installation);
    const { slot, disk, closed } = await prepareContainer(container, context);
    await closed;
    if (signal.aborted) {
      const message = `prepare container ${places.id}: cancelled by the caller`;
      throw new StackshimError('ERR_STACKSHIM_TASK_ABORTED', message, { cause: signal.reason });
    }
    const { mechanism, project } = disk;
    disk.handOver();
    // Close the holdings before another process can claim the container.
    holdings.close();
    const made = { version: VERSION, plan: describePlan(container) };
    const handed = { slot: slot.index, disk: { mechanism, project } };
    const { waitingFile } = places;
    writeFileSync(`${waitingFile}.new`, JSON.stringify({ ...made, ...handed }), { mode: 0o600 });
    renameSync(`${waitingFile}.new`, waitingFile);
    return places.id;
  } catch (error) {
    await removeOwn({ installation, record, holdings }, container, false);
    throw toSetupError(error, places);
  }
}

/**
 * Makes the waiting container with the plan's id a task of this process. Of several claimers exactly one succeeds. Throws
 * ERR_STACKSHIM_TASK_NOT_FOUND if no such container waits, ERR_STACKSHIM_TASK_CONFLICT if it was prepared for another plan.
 */
export function claimContainer(
  installation: Installation,
  plan: TaskPlan,
): Recorded<TaskPlan> & { readonly handed: HandedContainer } {
  const { container } = plan;
  const { places } = container;
  const startedAt = new Date();
  const { plan: made, ...handed } = readWaiting(places);
  if (made !== describePlan(container)) {
    const message = `claim container ${places.id}: it was prepared for tasks of another kind`;
    const details = { id: places.id };
    throw new StackshimError('ERR_STACKSHIM_TASK_CONFLICT', message, { details });
  }
  // Keep the creation time: processes that wait for the task recognize it by this.
  const { createdAt: _, ...change } = toRecord(plan, startedAt);
  const mayClaim = (found: TaskRecord) => isWaiting(places, found);
  const record = claimRecord(installation, places.id, mayClaim, change);
  if (record === undefined) throw notWaiting(places);
  rmSync(places.waitingFile, { force: true });
  return { plan, record, startedAt, handed };
}

function readWaiting(places: TaskPlaces): WaitingContainer {
  try {
    const value: unknown = JSON.parse(readBoundedFile(places.waitingFile, { maxBytes: MAX_BYTES }));
    return readWith(waitingContainer, value, (fault) => fault);
  } catch (error) {
    throw notWaiting(places, error);
  }
}

function notWaiting({ id }: TaskPlaces, error?: unknown): StackshimError {
  if (error !== undefined && errnoCodeOf(error) !== 'ENOENT') {
    return toStackshimError(error, 'ERR_STACKSHIM_RECORD_CORRUPT', `claim container ${id}`);
  }
  const message = `claim container ${id}: no such container waits`;
  return new StackshimError('ERR_STACKSHIM_TASK_NOT_FOUND', message, { details: { id } });
}

/**
 * Describes the plan: equal for containers of the same kind with the same names. Another installation with the same run folder has
 * other names. Leaves out limits that can change: the claiming task brings its own, because the runtime creates the cgroup only then.
 */
function describePlan(plan: ContainerPlan): string {
  const { spec, pinned, runtime, initBinary, devices, throttles, disk, bindOwner, places } = plan;
  const kind = { ...spec, id: undefined, limits: undefined };
  const image = pinned.image.digest;
  const made = [withoutCopy(runtime), initBinary, devices, throttles, disk, bindOwner];
  return JSON.stringify([kind, image, ...made, namesOf(places)]);
}
