/** Opens the queues of a store for a program that adds and inspects jobs. */
import { rm } from 'node:fs/promises';
import { parseTenantName, type TenantName } from '../../core/ids.ts';
import { integer, optional } from '../../core/read-fields.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { invalidInput, readInput } from '../../spec/field-errors.ts';
import { DEFAULT_POLICY, type JobTerms } from '../../spec/policy.ts';
import { parseDuration } from '../../spec/quantities.ts';
import { artefactsOf, logFile } from '../job/kept-files.ts';
import { jobName, parseJobName, parseQueueName } from '../job/lane.ts';
import { readStatus } from '../job/read-status.ts';
import { splitReference } from '../job/reference.ts';
import { openStore } from '../queue-store/open-store.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import { announceStacks } from '../supply/prefetch.ts';
import { type BindRequest, bindJob, type NameSource } from './bind-job.ts';
import { cancelJob, removeJob, retryJob } from './change-job.ts';
import { addJob, type PlannedJob, toJobId } from './enqueue-job.ts';
import { conflict, requireJob } from './lane-queue.ts';
import { listLanes } from './list-lanes.ts';
import { catalogueNames, installationNames } from './name-sources.ts';
import { setPaused } from './pause-queue.ts';
import type { EnqueueOptions, JobRequest, Queues, QueuesOptions } from './queues.ts';
import { readJobLog, rowsOfFile, storedRows } from './read-job-log.ts';
import {
  addSchedule,
  listSchedules,
  parseScheduleId,
  parseTimes,
  removeSchedule,
} from './schedules.ts';
import { takeArtefacts } from './take-artefacts.ts';
import { DELAYS, MAX_PRIORITY, toJobData, toStoredName } from './to-job-data.ts';
import { isOver, waitForJob } from './wait-for-job.ts';

/** BullMQ requires these values even though a client holds no locks. */
const LOCKS = { lockMs: 30_000, stalledLookMs: 30_000 };

interface Opened {
  readonly options: QueuesOptions;
  readonly store: QueueStore;
  readonly sources: readonly NameSource[];
  /** Reads the policy anew for each call. */
  readonly terms: () => Promise<JobTerms>;
}

/**
 * Resolves once the store can be used; close the result, because its connection keeps the process alive. Rejects within 10 seconds with
 * ERR_STACKSHIM_STORE_INVALID, _UNREACHABLE, _DENIED, _UNSUITABLE, _NOT_MIGRATED or _SKEWED.
 */
export async function openQueues(options: QueuesOptions): Promise<Queues> {
  const store = await openStore(options.store, LOCKS);
  const { installation = process.geteuid?.() === 0 ? {} : false, terms } = options;
  const door = installation === false ? undefined : openDoor(installation);
  const opened: Opened = {
    options,
    store,
    sources: [
      ...(door === undefined ? [] : [installationNames(door)]),
      catalogueNames(store.catalogue),
    ],
    terms: async () => terms ?? (await door?.policy())?.jobs ?? DEFAULT_POLICY.jobs,
  };
  return {
    ...jobCalls(opened),
    ...folderCalls(opened),
    ...scheduleCalls(opened),
    ...queueCalls(opened),
    async announce(stacks) {
      if (door === undefined) {
        const message = 'announce stacks: no installation is known that has them';
        throw invalidInput('installation', message, 'run as root, or set the option installation');
      }
      await announceStacks(store.catalogue, door.stacks, stacks);
    },
    close: () => store.close(),
  };
}

function jobCalls(
  opened: Opened,
): Pick<Queues, 'enqueue' | 'status' | 'wait' | 'cancel' | 'retry'> {
  const { store } = opened;
  return {
    async enqueue(queue, request, { delay = 0, key, unbound, wait, tenant, priority } = {}) {
      const delayMs = parseDuration(delay, 'delay', DELAYS);
      const id = toJobId(key);
      const names = unbound === true ? 'leave' : 'bind';
      const planned = await planJob(opened, queue, request, { tenant, priority, names });
      const place = await addJob(store, id, delayMs, planned);
      const status = wait === true ? await waitForJob(store, place, undefined) : null;
      return { job: jobName(place), status };
    },
    async status(job) {
      const place = parseJobName(job);
      return readStatus(place, await requireJob(store, place));
    },
    wait: async (job, { signal } = {}) => await waitForJob(store, parseJobName(job), signal),
    cancel: async (job, options = {}) => await cancelJob(store, parseJobName(job), options),
    retry: async (job) => await retryJob(store, parseJobName(job)),
  };
}

interface HowToPlan extends Pick<EnqueueOptions, 'tenant' | 'priority'> {
  readonly names: BindRequest['names'];
  readonly scheduleId?: string;
}

async function planJob(
  opened: Opened,
  queue: string,
  request: JobRequest,
  { names, scheduleId, ...options }: HowToPlan,
): Promise<PlannedJob> {
  const tenant = tenantOf(opened, options.tenant);
  const priority = readInput(optional(integer(0, MAX_PRIORITY)), options.priority, 'priority');
  const lane = { queue: parseQueueName(queue), tenant };
  const job = toJobData(request, await opened.terms(), scheduleId);
  const { job: data, code } = await bindJob(opened.sources, { job, tenant, names });
  // Jobs of a capped package get their own lane, so that other jobs need not wait behind them.
  const isCapped = data.code !== undefined && code?.maxConcurrency !== undefined;
  return {
    lane: { ...lane, code: isCapped ? splitReference(data.code).name : undefined },
    name: toStoredName(data, code?.limits),
    data,
    priority: priority ?? code?.priority ?? 0,
  };
}

function tenantOf({ options }: Opened, given: string | undefined): TenantName | undefined {
  const tenant = given ?? options.tenant;
  return tenant === undefined ? undefined : parseTenantName(tenant);
}

function folderCalls({ options, store }: Opened): Pick<Queues, 'logs' | 'outputs' | 'remove'> {
  const { artefacts, logs } = options;
  return {
    async *logs(job, given = {}) {
      const place = parseJobName(job);
      const rows = logs === undefined ? storedRows(store, place) : rowsOfFile(logFile(logs, place));
      yield* readJobLog(store, place, { ...given, rows });
    },
    async outputs(job, folder) {
      const place = parseJobName(job);
      const status = readStatus(place, await requireJob(store, place));
      if (!isOver(status))
        throw conflict('take artefacts of', place, `it has not ended: ${status.state}`);
      const result = status.result ?? { attempt: 0, artefacts: [] };
      if (artefacts !== undefined)
        return await takeArtefacts(place, result, { from: artefacts, to: folder });
      const message = `take artefacts of job ${jobName(place)}: the folder where workers keep them is not known`;
      throw invalidInput('artefacts', message, 'name it: --artefacts DIR, or the option artefacts');
    },
    async remove(job) {
      const place = parseJobName(job);
      await removeJob(store, place);
      if (artefacts !== undefined)
        await rm(artefactsOf(artefacts, place), { recursive: true, force: true });
      if (logs !== undefined) await rm(logFile(logs, place), { force: true });
    },
  };
}

function scheduleCalls(opened: Opened): Pick<Queues, 'schedule' | 'schedules' | 'unschedule'> {
  const { store } = opened;
  return {
    async schedule(queue, given, { job: request, bound, unbound, ...options }) {
      const id = parseScheduleId(given);
      const times = parseTimes(options);
      const names = unbound === true ? 'leave' : bound === true ? 'bind' : 'check';
      const planned = await planJob(opened, queue, request, { ...options, names, scheduleId: id });
      return await addSchedule(store, id, times, planned);
    },
    schedules: async (queue, { tenant } = {}) =>
      await listSchedules(store, parseQueueName(queue), tenantOf(opened, tenant)),
    unschedule: async (queue, id, { tenant } = {}) => {
      const name = parseQueueName(queue);
      await removeSchedule(store, name, parseScheduleId(id), tenantOf(opened, tenant));
    },
  };
}

function queueCalls(opened: Opened): Pick<Queues, 'pause' | 'resume' | 'list'> {
  const { store } = opened;
  const pauser =
    (isPaused: boolean): Queues['pause'] =>
    async (queue, { tenant } = {}) =>
      await setPaused(store, parseQueueName(queue), tenantOf(opened, tenant), isPaused);
  return {
    pause: pauser(true),
    resume: pauser(false),
    async list(queue, { tenant } = {}) {
      const queues = queue === undefined ? await store.listQueues() : [parseQueueName(queue)];
      return await listLanes(store, queues, tenantOf(opened, tenant));
    },
  };
}
