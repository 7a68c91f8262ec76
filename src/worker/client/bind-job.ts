/** Binds the names in a job to digests when the job is queued: every machine then runs what was current at that time. */
import type { ErrorCode } from '../../core/error-codes.ts';
import { StackshimError } from '../../core/errors.ts';
import type { JobData } from '../job/job-data.ts';
import { splitReference } from '../job/reference.ts';
import type { CatalogueEntry } from '../queue-store/queue-store.ts';

/** The settings that a job takes from its code package. */
export interface NamedPackage extends Omit<CatalogueEntry, 'since'> {
  /** Limits of the package's tasks, as far as they are known. */
  readonly limits?: Pick<JobData, 'memory' | 'disk' | 'cpus'> | undefined;
}

/** Looks up names. Resolves to undefined for a name that this source does not know. */
export interface NameSource {
  stack(reference: string): Promise<string | undefined>;
  code(reference: string, tenant: string | undefined): Promise<NamedPackage | undefined>;
}

export interface BindRequest {
  readonly job: JobData;
  readonly tenant: string | undefined;
  /** `bind`: replace names by digests. `check`: require that the names are known, and keep them. `leave`: keep them unchecked. */
  readonly names: 'bind' | 'check' | 'leave';
}

/**
 * Asks the sources in order; a bound name stays. Resolves to the job and what is known of its code package. Unless names are left to the worker,
 * throws ERR_STACKSHIM_STACK_NOT_FOUND or _PACKAGE_NOT_FOUND for a name that no source knows.
 */
export async function bindJob(sources: readonly NameSource[], { job, tenant, names }: BindRequest) {
  const { code: reference } = job;
  const code =
    reference === undefined
      ? undefined
      : await firstAnswer(sources, (source) => source.code(reference, tenant));
  if (names === 'leave') return { job, code };
  if (reference !== undefined && code === undefined && !isBound(reference)) {
    const what = `code package ${reference} of this tenant`;
    throw unknownName('ERR_STACKSHIM_PACKAGE_NOT_FOUND', what, { code: reference });
  }
  const named = job.stack ?? code?.stack;
  const stack = named === undefined ? undefined : await bindStack(sources, named);
  if (names === 'check') return { job, code };
  const isPinnable = reference !== undefined && code !== undefined;
  return {
    job: { ...job, stack, code: isPinnable ? pin(reference, code.digest) : reference },
    code,
  };
}

const isBound = (reference: string) => splitReference(reference).digest !== undefined;
const pin = (reference: string, digest: string) =>
  isBound(reference) ? reference : `${splitReference(reference).name}@${digest}`;

async function bindStack(sources: readonly NameSource[], reference: string): Promise<string> {
  if (isBound(reference)) return reference;
  const digest = await firstAnswer(sources, (source) => source.stack(reference));
  if (digest !== undefined) return pin(reference, digest);
  throw unknownName('ERR_STACKSHIM_STACK_NOT_FOUND', `stack ${reference}`, { stack: reference });
}

async function firstAnswer<T>(
  sources: readonly NameSource[],
  ask: (source: NameSource) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const source of sources) {
    const found = await ask(source);
    if (found !== undefined) return found;
  }
  return undefined;
}

const unknownName = (code: ErrorCode, what: string, details: Readonly<Record<string, string>>) =>
  new StackshimError(
    code,
    `queue job: no worker of this store has published the ${what}, and it is not on this machine`,
    {
      hint: 'check the name; start a worker that has it; or leave the name to the worker that takes the job (--unbound)',
      details,
    },
  );
