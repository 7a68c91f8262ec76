/** Marks that replace the data of a job which no worker should read. A job in which a producer wrote such a mark is refused, too. */
import { isObject } from '../../core/read-fields.ts';

/** How much of a job a worker reads: its data, its options, and what earlier attempts left. More would hold up its other jobs. */
export const ENTRY_BYTES = 16_777_216;

/** What stays beside the data of an entry that is larger: how its attempts ended, for example. */
export const SMALL_BYTES = 65_536;

/** Data of a job whose entry has more bytes: their number. */
export const OVERSIZE = 'stackshim:bytes';
/** Data of an entry that was taken as a job and is not one: the kind of the entry. */
export const NO_ENTRY = 'stackshim:kind';

/** The size of an entry that was not read. */
export function oversizeOf(data: unknown): number | undefined {
  const bytes = fieldOf(data, OVERSIZE);
  return typeof bytes === 'number' ? bytes : undefined;
}

/** The kind of an entry that is not a job's. */
export function strangeKindOf(data: unknown): string | undefined {
  const kind = fieldOf(data, NO_ENTRY);
  return typeof kind === 'string' ? kind : undefined;
}

const fieldOf = (data: unknown, name: string): unknown =>
  isObject(data) && Object.hasOwn(data, name) ? Reflect.get(data, name) : undefined;
