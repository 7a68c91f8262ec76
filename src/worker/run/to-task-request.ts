/** The task of a job: its input, and what the worker itself says about it. Pure. */
import { posix } from 'node:path';
import type { TaskId } from '../../core/ids.ts';
import { invalidField } from '../../spec/field-errors.ts';
import type { OutputInput } from '../../spec/parse-outputs.ts';
import { parseBytes, parseCpus } from '../../spec/quantities.ts';
import type { TaskInput } from '../../spec/task-input.ts';
import type { AdmittedLimits } from '../../spec/task-spec.ts';
import type { CallerOptions } from '../../task/caller-options.ts';
import type { JobData } from '../job/job-data.ts';
import { isOwnJobField } from '../job/job-fields.ts';
import { type JobPlace, jobName } from '../job/lane.ts';
import { jobBytes } from '../job/parse-job.ts';
import type { Needs } from '../taken-job.ts';

export interface TaskRequest {
  readonly input: TaskInput;
  readonly options: Pick<CallerOptions, 'origin' | 'fields' | 'payload' | 'config' | 'capture'>;
}

export interface RequestContext {
  readonly place: JobPlace;
  readonly task: TaskId;
  readonly attempt: number;
  /** Whether an earlier attempt ran out of memory. */
  readonly lackedMemory: boolean;
  /** The folder of the attempt's artefacts; undefined for a job without outputs. */
  readonly artefactFolder: string | undefined;
}

/** The labels by which the records of tasks name their jobs. */
const JOB_LABEL = 'stackshim.job';
const ATTEMPT_LABEL = 'stackshim.attempt';

export function toTaskRequest(job: JobData, context: RequestContext): TaskRequest {
  const { place, task, attempt, artefactFolder } = context;
  const { tenant } = place.lane;
  const own = Object.entries(job).filter(([name]) => !isOwnJobField(name));
  const memory = memoryOf(job, context);
  const input = {
    ...Object.fromEntries(own),
    ...(memory === undefined ? {} : { memory }),
    stack: job.stack ?? '',
  };
  const labels = { [JOB_LABEL]: jobName(place), [ATTEMPT_LABEL]: String(attempt) };
  return {
    input,
    options: {
      origin: 'job',
      capture: false,
      ...jobBytes(job),
      fields: {
        id: task,
        labels: { ...job.labels, ...labels },
        ...(tenant === undefined ? {} : { tenant }),
        ...(job.code === undefined ? {} : { code: job.code }),
        ...(job.scheduleId === undefined ? {} : { scheduleId: job.scheduleId }),
        ...(artefactFolder === undefined ? {} : { outputs: toOutputs(job, artefactFolder) }),
      },
    },
  };
}

const memoryOf = (
  { memory, memoryRetry }: JobData,
  { lackedMemory }: Pick<RequestContext, 'lackedMemory'>,
) => (lackedMemory ? (memoryRetry ?? memory) : memory);

/** What the task needs of its machine. The policy has admitted nothing of it yet. */
export function toNeeds(job: JobData, usual: AdmittedLimits, lackedMemory: boolean): Needs {
  const memory = memoryOf(job, { lackedMemory });
  return {
    memoryBytes: memory === undefined ? usual.memoryBytes : parseBytes(memory, 'memory'),
    diskBytes: job.disk === undefined ? usual.diskBytes : parseBytes(job.disk, 'disk'),
    cpus: job.cpus === undefined ? usual.cpus : parseCpus(job.cpus, 'cpus'),
  };
}

const MOST_FOLDERS = 16;

const toOutputs = ({ outputs = [] }: JobData, folder: string): readonly OutputInput[] =>
  outputs.map((source) => ({ source, destination: folderOf(source, folder) }));

/** An output lies in the attempt's folder as in the task, so that two of them never have the same place. Throws ERR_STACKSHIM_SPEC_INVALID. */
function folderOf(source: string, folder: string): string {
  const parts = posix.dirname(posix.normalize(source)).split('/').filter(isName);
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
