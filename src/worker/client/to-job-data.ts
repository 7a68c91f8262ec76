/** A program's description of a job → the job data in the store. Pure. */

import { withoutUndefined } from '../../core/read-fields.ts';
import { invalidField } from '../../spec/field-errors.ts';
import { SETTINGS_BOUNDS } from '../../spec/package-settings.ts';
import type { JobTerms } from '../../spec/policy.ts';
import { parseBytes, parseCpus, showBytes } from '../../spec/quantities.ts';
import { SPEC_BOUNDS } from '../../spec/spec-bounds.ts';
import { JOB_VERSION, type JobData } from '../job/job-data.ts';
import { parseJobData } from '../job/parse-job.ts';
import { decodeStorable } from '../job/storable.ts';
import type { JobRequest } from './queues.ts';

/** Checks the whole job. Throws like {@link parseJobData}. */
export function toJobData(request: JobRequest, terms: JobTerms, scheduleId?: string): JobData {
  const { payload, config, ...rest } = request;
  const job = parseJobData(
    {
      version: JOB_VERSION,
      ...rest,
      ...toStored('payload', payload),
      ...toStored('config', config),
      ...(scheduleId === undefined ? {} : { scheduleId }),
    },
    terms,
  );
  const bytes = Buffer.byteLength(JSON.stringify(job));
  if (bytes <= SPEC_BOUNDS.jobDataBytes) return job;
  const most = showBytes(SPEC_BOUNDS.jobDataBytes);
  throw invalidField('job', `${bytes} bytes as JSON, more than ${most}`);
}

/** Stores text that every store accepts as text, anything else in base64. */
function toStored(field: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'string' && value.includes('\0')) return toStored(field, Buffer.from(value));
  if (!(value instanceof Uint8Array)) return value === undefined ? {} : { [field]: value };
  const text = decodeStorable(value);
  if (text !== undefined) return { [field]: text };
  return { [`${field}Base64`]: Buffer.from(value).toString('base64') };
}

type Needs = Pick<JobData, 'memory' | 'disk' | 'cpus'>;

/** Builds the job's stored name, `v1 <memory> <disk> <cpus>`, which tells workers its needs before they take the job. */
export function toStoredName(job: JobData, ofPackage: Needs = {}): string {
  const { memory, disk, cpus } = withoutUndefined({ ...ofPackage, ...job });
  if (memory === undefined && disk === undefined && cpus === undefined) return `v${JOB_VERSION}`;
  const needs = [
    memory === undefined ? UNSAID : parseBytes(memory, 'memory'),
    disk === undefined ? UNSAID : parseBytes(disk, 'disk'),
    cpus === undefined ? UNSAID : parseCpus(cpus, 'cpus'),
  ];
  return `v${JOB_VERSION} ${needs.join(' ')}`;
}

/** The policy's default applies. */
const UNSAID = '-';

export const MAX_PRIORITY = SETTINGS_BOUNDS.priority;
export const DELAYS = { min: 0, max: SPEC_BOUNDS.jobDelayMsMax };
