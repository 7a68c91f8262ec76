/** What users write, held against readers: a fault becomes an error that names the field. */
import { type Reader, readWith } from '../core/read-fields.ts';
import { invalidField } from './invalid-field.ts';

const MAX_FIELD_CHARS = 200;

/** @param what Names the whole: `task`. Throws ERR_STACKSHIM_SPEC_INVALID that names the first field at fault. */
export function readInput<T>(reader: Reader<T>, input: unknown, what: string): T {
  return readWith(reader, input, ({ field, problem, value }) =>
    invalidField(field === '' ? what : shorten(field), problem, value),
  );
}

/** A hostile key is shown as far as it can be read. */
const shorten = (field: string) =>
  field.length > MAX_FIELD_CHARS ? `${field.slice(0, MAX_FIELD_CHARS)}…` : field;
