/** Schedules: BullMQ's job schedulers, each stored in the lane of its jobs. */
import { messageOf, StackshimError } from '../../core/errors.ts';
import { invalidField } from '../../spec/field-errors.ts';
import { parseDuration } from '../../spec/quantities.ts';
import { SPEC_BOUNDS } from '../../spec/spec-bounds.ts';
import { SCHEDULE_ID } from '../job/job-fields.ts';
import type { Lane } from '../job/lane.ts';
import { readFields, textOrNull, toIsoTime } from '../job/stored-values.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { PlannedJob } from './enqueue-job.ts';
import { laneQueue } from './lane-queue.ts';
import { inOrder } from './list-lanes.ts';
import { findLanes, followMarks } from './pause-queue.ts';
import type { Schedule, ScheduleTimes } from './queues.ts';

const EVERY = { min: 1000, max: SPEC_BOUNDS.jobDelayMsMax };
const MAX_PATTERN_CHARS = 200;

type Times = { readonly every: number } | { readonly pattern: string; readonly tz: string };

/** Checks the id of a schedule. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseScheduleId(id: string): string {
  if (SCHEDULE_ID.test(id)) return id;
  const problem = 'not 1 to 64 letters, digits, "_", "." or "-" that start with a letter or digit';
  throw invalidField('id', problem, id);
}

/** Checks the times, but not the syntax of the pattern, which BullMQ parses. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseTimes({ pattern, tz, every }: ScheduleTimes): Times {
  if ((pattern === undefined) === (every === undefined)) {
    throw invalidField('pattern', 'give one of pattern and every');
  }
  if (every !== undefined) {
    if (tz !== undefined) throw invalidField('tz', 'given without a pattern', tz);
    return { every: parseDuration(every, 'every', EVERY) };
  }
  if (pattern === undefined || pattern.length > MAX_PATTERN_CHARS) {
    throw invalidField('pattern', `more than ${MAX_PATTERN_CHARS} characters`);
  }
  return { pattern, tz: tz ?? 'UTC' };
}

/** Adds or replaces the schedule, even if its jobs were in another lane until now. */
export async function addSchedule(
  store: QueueStore,
  id: string,
  times: Times,
  { lane, name, data, priority }: PlannedJob,
): Promise<Schedule> {
  await followMarks(store, lane);
  const template = { name, data, opts: { priority } };
  const queue = laneQueue(store, lane);
  try {
    await store.announce(lane, () => queue.upsertJobScheduler(id, times, template));
  } catch (error) {
    throw 'pattern' in times && isBadPattern(error)
      ? invalidField('pattern', `not a pattern of cron: ${messageOf(error)}`, times.pattern)
      : error;
  }
  for (const other of await findLanes(store, lane.queue, lane.tenant)) {
    const isOther = other.code !== lane.code && other.tenant === lane.tenant;
    if (isOther) await laneQueue(store, other).removeJobScheduler(id);
  }
  const made = (await schedulesOf(store, lane)).find((one) => one.id === id);
  if (made !== undefined) return made;
  throw noSchedule(lane.queue, id);
}

/** cron-parser's errors have no code; errors of drivers and of BullMQ's scripts do. */
const isBadPattern = (error: unknown) =>
  error instanceof Error && !(error instanceof StackshimError) && !('code' in error);

export async function listSchedules(
  store: QueueStore,
  queue: string,
  tenant: string | undefined,
): Promise<readonly Schedule[]> {
  const lanes = await findLanes(store, queue, tenant);
  const found = await Promise.all(
    lanes.map((lane) =>
      schedulesOf(store, lane).catch((error: unknown) => {
        if (isOfEntry(error)) return [];
        throw error;
      }),
    ),
  );
  return found.flat().sort(inOrder(({ tenant, id }) => [tenant ?? '', id]));
}

/** Whether the error is about unreadable entries of this lane, which producers may have written. Other lanes are still listed. */
const isOfEntry = (error: unknown): boolean =>
  error instanceof SyntaxError ||
  error instanceof TypeError ||
  /^WRONGTYPE /.test(messageOf(error));

/** Removes the tenant's schedule, or with `tenant` undefined the schedule of jobs without a tenant. */
export async function removeSchedule(
  store: QueueStore,
  queue: string,
  id: string,
  tenant: string | undefined,
): Promise<void> {
  const lanes = (await findLanes(store, queue, tenant)).filter((lane) => lane.tenant === tenant);
  const removed = await Promise.all(
    lanes.map((lane) => laneQueue(store, lane).removeJobScheduler(id)),
  );
  if (!removed.includes(true)) throw noSchedule(queue, id);
}

const noSchedule = (queue: string, id: string) =>
  new StackshimError(
    'ERR_STACKSHIM_JOB_NOT_FOUND',
    `find schedule ${id} of queue ${queue}: no such schedule`,
    { hint: `stackshim queue schedules ${queue} lists them` },
  );

async function schedulesOf(store: QueueStore, lane: Lane): Promise<readonly Schedule[]> {
  const found = await laneQueue(store, lane).getJobSchedulers();
  return found.map(({ key, pattern, tz, every, next, template }) => {
    const { stack, code } = readFields(template?.data);
    return {
      queue: lane.queue,
      id: key,
      tenant: lane.tenant ?? null,
      pattern: pattern ?? null,
      tz: pattern === undefined ? null : (tz ?? 'UTC'),
      everyMs: every === undefined ? null : Number(every),
      nextAt: toIsoTime(next || undefined) ?? null,
      stack: textOrNull(stack),
      code: textOrNull(code),
    };
  });
}
