/** Marks that replace the data of a job that no worker should read. A job whose producer wrote such a mark is refused, too. */
import { ownField } from '../job/stored-values.ts';

/** The most that a worker reads of a job: data, options and results of earlier attempts. More would delay its other jobs. */
export const ENTRY_BYTES = 16_777_216;

/** Other fields of an oversized entry, such as how its attempts ended, are kept up to this size. */
export const SMALL_BYTES = 65_536;

/** The field in the data of an oversized job: the number of bytes of its entry. */
export const OVERSIZE = 'stackshim:bytes';
/** The field in the data of an entry that was taken as a job but is none: the kind of the entry. */
export const NO_ENTRY = 'stackshim:kind';

/** The size in bytes of an entry that was too large to read; undefined for any other. */
export function oversizeOf(data: unknown): number | undefined {
  const bytes = ownField(data, OVERSIZE);
  return typeof bytes === 'number' ? bytes : undefined;
}

/** The kind of an entry that is not a job's; undefined for a job. */
export function strangeKindOf(data: unknown): string | undefined {
  const kind = ownField(data, NO_ENTRY);
  return typeof kind === 'string' ? kind : undefined;
}
