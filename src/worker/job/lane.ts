/** Lanes and job names. A lane is one queue of the store: jobs of one queue and tenant, and code package if its concurrency is capped. Pure. */
import { isTenantName, type TenantName } from '../../core/ids.ts';
import { invalidInput } from '../../spec/field-errors.ts';

/** A job's owner follows from its lane alone, never from its data. */
export interface Lane {
  readonly queue: string;
  /** Undefined for jobs without a tenant. */
  readonly tenant: TenantName | undefined;
  /** Undefined for jobs of all packages without a cap, and of no package. */
  readonly code: string | undefined;
}

/** Identifies a job in the store. */
export interface JobPlace {
  readonly lane: Lane;
  /** The id within the lane. */
  readonly id: string;
}

/** Separates the parts of a lane's name; no part contains it. */
export const SEPARATOR = '~';
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/;
/** The store adds `repeat:<schedule>:<time>` for the jobs of a schedule. */
const ID = /^[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,199}$/;

export const isQueueName = (text: string): boolean => NAME.test(text);
export const isJobId = (text: string): boolean => ID.test(text);

/** Throws ERR_STACKSHIM_SPEC_INVALID with `details.field` `queue`. */
export function parseQueueName(text: string): string {
  if (isQueueName(text)) return text;
  const message = `queue ${JSON.stringify(text.slice(0, 200))}: not 1 to 64 letters, digits, "_", "." or "-" that start with a letter or digit`;
  throw invalidInput('queue', message, 'correct the name of the queue');
}

/** The name of the lane's queue in the store: `queue~tenant~code`. */
export const laneName = ({ queue, tenant, code }: Lane): string =>
  [queue, tenant ?? '', code ?? ''].join(SEPARATOR);

/** Undefined for text that is not a lane's name: anyone who can write to the store may have written it. */
export function parseLaneName(name: string): Lane | undefined {
  const parts = name.split(SEPARATOR);
  const [queue = '', tenant = '', code = ''] = parts;
  if (parts.length !== 3 || !isQueueName(queue)) return undefined;
  if (tenant !== '' && !isTenantName(tenant)) return undefined;
  if (code !== '' && !NAME.test(code)) return undefined;
  return { queue, tenant: (tenant as TenantName | '') || undefined, code: code || undefined };
}

/** The job's name for clients: `queue~tenant~code~id`. */
export const jobName = ({ lane, id }: JobPlace): string => `${laneName(lane)}${SEPARATOR}${id}`;

/** Undefined for text that is not a job's name. */
export function findJobPlace(name: string): JobPlace | undefined {
  const at = name.lastIndexOf(SEPARATOR);
  const lane = at < 0 ? undefined : parseLaneName(name.slice(0, at));
  const id = name.slice(at + 1);
  return lane !== undefined && isJobId(id) ? { lane, id } : undefined;
}

/** Throws ERR_STACKSHIM_SPEC_INVALID with `details.field` `job`. */
export function parseJobName(name: string): JobPlace {
  const place = findJobPlace(name);
  if (place !== undefined) return place;
  const message = `job ${JSON.stringify(name.slice(0, 200))}: not the name of a job`;
  throw invalidInput('job', message, 'stackshim queue add prints it: queue~tenant~code~id');
}
