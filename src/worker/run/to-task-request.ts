/** Builds the task of a job: its input, and the fields that the worker sets. Pure. */
import { posix } from 'node:path';
import type { TaskId } from '../../core/ids.ts';
import { withoutUndefined } from '../../core/read-fields.ts';
import { invalidField } from '../../spec/field-errors.ts';
import { parseBytes, parseCpus } from '../../spec/quantities.ts';
import type { TaskInput } from '../../spec/task-input.ts';
import type { AdmittedLimits } from '../../spec/task-spec.ts';
import { withSettings } from '../../spec/with-settings.ts';
import type { PinnedPackage } from '../../store/packages/package.ts';
import type { CallerOptions } from '../../task/caller-options.ts';
import type { JobData } from '../job/job-data.ts';
import { isOwnJobField } from '../job/job-fields.ts';
import { type JobPlace, jobName } from '../job/lane.ts';
import { jobBytes } from '../job/parse-job.ts';
import type { Needs } from '../taken-job.ts';
import type { FieldsOfWorker } from '../worker-options.ts';

export interface TaskRequest {
  readonly input: TaskInput;
  readonly options: Pick<CallerOptions, 'origin' | 'fields' | 'payload' | 'config' | 'capture'>;
}

/** A job that may run, and the package to which its code is bound. */
export interface PlannedJob {
  readonly data: JobData;
  readonly packaged: PinnedPackage | undefined;
}

export interface RequestContext {
  readonly place: JobPlace;
  /** The task's id. */
  readonly id: TaskId;
  readonly attempt: number;
  /** Whether an earlier attempt ran out of memory. */
  readonly lackedMemory: boolean;
  /** The folder of the attempt's artefacts; undefined for a job without outputs. */
  readonly artefactFolder: string | undefined;
  /** The fields that the operator's program sets on the task. */
  readonly fields: FieldsOfWorker;
}

/** The labels that name the job in the task's record. */
const JOB_LABEL = 'stackshim.job';
const ATTEMPT_LABEL = 'stackshim.attempt';

export function toTaskRequest(planned: PlannedJob, context: RequestContext): TaskRequest {
  const { data: job } = planned;
  const { place, id, attempt, artefactFolder: folder, fields } = context;
  const labels = { [JOB_LABEL]: jobName(place), [ATTEMPT_LABEL]: String(attempt) };
  return {
    input: toInput(planned, context.lackedMemory),
    options: {
      origin: 'job',
      capture: false,
      ...jobBytes(job),
      fields: {
        ...fields,
        id,
        labels: { ...job.labels, ...fields.labels, ...labels },
        ...withoutUndefined({
          tenant: place.lane.tenant,
          code: boundCode(planned) ?? undefined,
          scheduleId: job.scheduleId,
          outputs: folder === undefined ? undefined : toOutputs(planned, folder),
        }),
      },
    },
  };
}

function toInput({ data: job, packaged }: PlannedJob, lackedMemory: boolean): TaskInput {
  const own = Object.entries(job).filter(([name]) => !isOwnJobField(name));
  const memory = lackedMemory ? (job.memoryRetry ?? job.memory) : job.memory;
  const stack = job.stack ?? packaged?.settings.stack;
  return {
    ...Object.fromEntries(own),
    ...withoutUndefined({ memory, stack }),
  };
}

/** The package by its digest, so that no later revision replaces it. Null for a job without a package. */
export const boundCode = ({ packaged }: Pick<PlannedJob, 'packaged'>): string | null =>
  packaged === undefined ? null : `${packaged.name}@${packaged.image.digest}`;

/** The outputs that are kept with the job. */
export const outputsOf = ({ data, packaged }: PlannedJob): readonly string[] =>
  data.outputs ?? packaged?.settings.outputs ?? [];

/** The task's needs on its machine. The policy has not admitted any of it yet. */
export function toNeeds(planned: PlannedJob, usual: AdmittedLimits, lackedMemory: boolean): Needs {
  const { packaged } = planned;
  const own = toInput(planned, lackedMemory);
  const { memory, disk, cpus } =
    packaged === undefined ? own : withSettings(own, packaged.settings);
  return {
    memoryBytes: memory === undefined ? usual.memoryBytes : parseBytes(memory, 'memory'),
    diskBytes: disk === undefined ? usual.diskBytes : parseBytes(disk, 'disk'),
    cpus: cpus === undefined ? usual.cpus : parseCpus(cpus, 'cpus'),
  };
}

const MOST_FOLDERS = 16;

const toOutputs = (planned: PlannedJob, folder: string) =>
  outputsOf(planned).map((source) => ({ source, destination: folderOf(source, folder) }));

/** Gives an output the same path in the attempt's folder as in the task, so that no two outputs collide. Throws ERR_STACKSHIM_SPEC_INVALID. */
function folderOf(source: string, folder: string): string {
  const parts = posix.dirname(source).split('/').filter(isName);
  if (parts.length > MOST_FOLDERS) {
    throw invalidField('outputs', `more than ${MOST_FOLDERS} folders deep`, source);
  }
  return [folder, ...parts].join('/');
}

const isName = (part: string) => part !== '' && part !== '.' && part !== '..';

/** The folders that must exist before the task ends. */
export const outputFolders = ({ options }: TaskRequest): readonly string[] =>
  (options.fields?.outputs ?? []).flatMap((output) =>
    typeof output === 'object' && output.destination !== undefined ? [output.destination] : [],
  );
