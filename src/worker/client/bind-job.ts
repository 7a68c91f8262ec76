/** Binds the names in a job to digests when the job is queued, so that it runs what was current then, on every machine. */
import { StackshimError } from '../../core/errors.ts';
import type { JobData } from '../job/job-data.ts';
import type { CatalogueEntry } from '../queue-store/queue-store.ts';

/** What a job of a code package has from the package. */
export interface NamedPackage extends Omit<CatalogueEntry, 'since'> {
  /** Limits of its tasks, as far as they are known. */
  readonly limits?: Pick<JobData, 'memory' | 'disk' | 'cpus'> | undefined;
}

/** Knows what names stand for. Undefined: does not know this name. */
export interface NameSource {
  stack(reference: string): Promise<string | undefined>;
  code(reference: string, tenant: string | undefined): Promise<NamedPackage | undefined>;
}

export interface BoundJob {
  readonly job: JobData;
  /** What is known about the job's code package. */
  readonly code: NamedPackage | undefined;
}

export interface BindRequest {
  readonly job: JobData;
  readonly tenant: string | undefined;
  /** `bind`: to digests. `check`: require that they are known, and leave them in the job. `leave`: do that without a check. */
  readonly names: 'bind' | 'check' | 'leave';
}

/**
 * Asks the sources in their order. A name that already has a digest stays. Throws ERR_STACKSHIM_STACK_NOT_FOUND and _PACKAGE_NOT_FOUND for
 * a name that none knows, unless the names are left to the worker.
 */
export async function bindJob(
  sources: readonly NameSource[],
  { job, tenant, names }: BindRequest,
): Promise<BoundJob> {
  const code = job.code === undefined ? undefined : await findCode(sources, job.code, tenant);
  if (names === 'leave') return { job, code };
  if (job.code !== undefined && code === undefined && !isBound(job.code)) throw noPackage(job.code);
  const named = job.stack ?? code?.stack;
  const stack = named === undefined ? undefined : await bindStack(sources, named);
  if (names === 'check') return { job, code };
  return {
    job: {
      ...job,
      ...(stack === undefined ? {} : { stack }),
      ...(job.code === undefined || code === undefined ? {} : { code: pin(job.code, code.digest) }),
    },
    code,
  };
}

const HINT =
  'check the name; start a worker that has it; or leave the name to the worker that takes the job (--unbound)';

const isBound = (reference: string) => reference.includes('@sha256:');
const nameOf = (reference: string) => reference.split('@', 1)[0] ?? '';
const pin = (reference: string, digest: string) =>
  isBound(reference) ? reference : `${nameOf(reference)}@${digest}`;

async function findCode(
  sources: readonly NameSource[],
  reference: string,
  tenant: string | undefined,
): Promise<NamedPackage | undefined> {
  for (const source of sources) {
    const found = await source.code(reference, tenant);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function bindStack(sources: readonly NameSource[], reference: string): Promise<string> {
  if (isBound(reference)) return reference;
  for (const source of sources) {
    const digest = await source.stack(reference);
    if (digest !== undefined) return pin(reference, digest);
  }
  throw new StackshimError(
    'ERR_STACKSHIM_STACK_NOT_FOUND',
    `queue job: no worker of this store has published the stack ${reference}, and it is not on this machine`,
    { hint: HINT, details: { stack: reference } },
  );
}

const noPackage = (reference: string) =>
  new StackshimError(
    'ERR_STACKSHIM_PACKAGE_NOT_FOUND',
    `queue job: no worker of this store has published the code package ${reference} of this tenant, and it is not on this machine`,
    { hint: HINT, details: { code: reference } },
  );
