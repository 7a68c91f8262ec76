/** What users write, held against readers: a fault becomes an error that names the field. */
import { type Reader, readWith } from '../core/read-fields.ts';
import { invalidField } from './invalid-field.ts';

/** @param what Names the whole: `task`. Throws ERR_STACKSHIM_SPEC_INVALID that names the first field at fault. */
export function readInput<T>(reader: Reader<T>, input: unknown, what: string): T {
  return readWith(reader, input, ({ field, problem, value }) =>
    invalidField(field === '' ? what : field, problem, value),
  );
}
