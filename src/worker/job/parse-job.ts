/** unknown → JobData: what a worker takes from the store, and what the client puts there. The input is hostile. Pure. */
import { FieldFault, isObject, withoutUndefined } from '../../core/read-fields.ts';
import { deniedField, invalidField, readInput } from '../../spec/field-errors.ts';
import { optionOf } from '../../spec/options/task-options.ts';
import type { PackageSettings } from '../../spec/package-settings.ts';
import { parseOutputs } from '../../spec/parse-outputs.ts';
import { parseJobInput } from '../../spec/parse-task-spec.ts';
import { DEFAULT_POLICY, type JobTerms } from '../../spec/policy.ts';
import { parseBytes, parseDuration, showBytes, showDuration } from '../../spec/quantities.ts';
import { SPEC_BOUNDS as BOUNDS } from '../../spec/spec-bounds.ts';
import type { JobInput } from '../../spec/task-input.ts';
import { JOB_VERSION, type JobData } from './job-data.ts';
import { isOwnJobField, type OwnJobData, readOwnFields } from './job-fields.ts';
import { findUnstorable } from './storable.ts';

/** Stands for the stack while the task's fields are checked. */
const NO_STACK = 'unnamed';

/**
 * Checks a whole job against the policy's `terms`; refuses unknown fields. Throws ERR_STACKSHIM_SPEC_INVALID with `details.field` for the first
 * invalid field, ERR_STACKSHIM_SPEC_DENIED for a field that jobs may not set and for a value above `terms`.
 */
export function parseJobData(data: unknown, terms: JobTerms = DEFAULT_POLICY.jobs): JobData {
  const { own: given, task: fields } = readInput(divide, data, 'job');
  requireVersion(given['version']);
  const own = readInput(readOwnFields, given, 'job');
  if (own.stack === undefined && own.code === undefined) {
    throw invalidField('stack', 'missing; a job names a stack, or a code package that has one');
  }
  const { stack: _, ...task } = parseJobInput({ ...fields, stack: own.stack ?? NO_STACK });
  requireOne(own, 'payload', 'payloadBase64');
  requireOne(own, 'config', 'configBase64');
  const { payload, config } = jobBytes(own);
  requireSize('payload', payload, terms.payloadBytes);
  requireSize('config', config, terms.configBytes);
  checkAttempts({ ...task, ...own }, terms);
  parseOutputs(
    (own.outputs ?? []).map((source) => ({ source })),
    { mounts: [], tmpfs: [] },
  );
  requireTimeout(task, terms);
  const job: JobData = { ...task, ...own };
  const unstorable = findUnstorable(job);
  if (unstorable === undefined) return job;
  const hint = /^(?:payload|config)$/.test(unstorable) ? `; use ${unstorable}Base64` : '';
  throw invalidField(unstorable, `contains NUL, or half of a UTF-16 pair${hint}`);
}

/** Reads each field once and stops at the first unknown one: a hostile object may have millions of fields. */
function divide(data: unknown) {
  if (!isObject(data)) throw new FieldFault('', 'not an object');
  const own: Record<string, unknown> = {};
  const task: Record<string, unknown> = {};
  for (const name in data) {
    if (isOwnJobField(name)) own[name] = Reflect.get(data, name);
    else if (optionOf(name) !== undefined) task[name] = Reflect.get(data, name);
    else throw new FieldFault(name, 'no such field');
  }
  return { own, task };
}

function requireVersion(version: unknown): void {
  if (version === JOB_VERSION) return;
  if (typeof version === 'number' && Number.isSafeInteger(version) && version > JOB_VERSION) {
    throw invalidField('version', `newer than ${JOB_VERSION}; run a newer stackshim`, version);
  }
  const problem = version === undefined ? 'missing: ' : 'not ';
  throw invalidField('version', `${problem}${JOB_VERSION}`);
}

function requireOne(own: OwnJobData, text: 'payload' | 'config', bytes: keyof OwnJobData): void {
  if (own[text] === undefined || own[bytes] === undefined) return;
  throw invalidField(text, `given together with ${bytes}; give one of them`);
}

function requireSize(field: string, bytes: Uint8Array | undefined, most: number): void {
  const size = bytes?.length ?? 0;
  requireAtMost(field, [size, `of ${size} bytes`], [most, showBytes(most)]);
}

/** Takes each value with its shown text. Throws ERR_STACKSHIM_SPEC_DENIED for a field above the policy's terms. */
function requireAtMost(
  field: string,
  [asked, shown]: readonly [number, string],
  [allowed, most]: readonly [number, string],
): void {
  if (asked <= allowed) return;
  const reason = `more than the ${most} that the policy's jobs.${field} allows`;
  throw deniedField({ field, asked, allowed, shown, reason });
}

/** Bounds the settings from the job's code package, which may come from a registry, like the job's own. Throws ERR_STACKSHIM_SPEC_DENIED. */
export function requirePackageTerms(
  job: JobData,
  { retries, limits }: PackageSettings,
  terms: JobTerms,
): void {
  checkAttempts({ retries: job.retries ?? retries }, terms);
  requireTimeout({ timeout: job.timeout ?? limits?.timeout }, terms);
}

function checkAttempts(
  job: Pick<JobData, 'retries' | 'retryDelay' | 'memory' | 'memoryRetry'>,
  terms: JobTerms,
): void {
  const { retries = 0, retryDelay, memory, memoryRetry } = job;
  requireAtMost('retries', [retries, `${retries}`], [terms.retries, `${terms.retries}`]);
  if (retryDelay !== undefined) parseRetryDelay(retryDelay);
  if (memoryRetry === undefined) return;
  const more = parseBytes(memoryRetry, 'memoryRetry', { min: BOUNDS.memoryBytesMin });
  if (memory !== undefined && more <= parseBytes(memory, 'memory')) {
    throw invalidField('memoryRetry', `not more than memory, which is ${memory}`, memoryRetry);
  }
}

function requireTimeout({ timeout }: Pick<JobInput, 'timeout'>, { timeoutMs }: JobTerms): void {
  if (timeout === undefined) return;
  const asked = parseDuration(timeout, 'timeout', { min: 0, max: BOUNDS.timeoutMsMax });
  requireAtMost('timeout', [asked, showDuration(asked)], [timeoutMs, showDuration(timeoutMs)]);
}

/** Parses the delay to milliseconds. Throws ERR_STACKSHIM_SPEC_INVALID. */
export const parseRetryDelay = (value: string | number): number =>
  parseDuration(value, 'retryDelay', { min: 0, max: BOUNDS.jobDelayMsMax });

/** Decodes the payload and the config to the task's bytes. Leaves absent ones out. */
export const jobBytes = (
  job: Pick<JobData, 'payload' | 'payloadBase64' | 'config' | 'configBase64'>,
) =>
  withoutUndefined({
    payload: toBytes(job.payload, job.payloadBase64),
    config: toBytes(job.config, job.configBase64),
  });

function toBytes(text: string | undefined, base64: string | undefined): Uint8Array | undefined {
  if (text !== undefined) return Buffer.from(text);
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64');
}
