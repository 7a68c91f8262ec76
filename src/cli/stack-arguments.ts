/** Numbers of revisions and counts, as they stand on a command line. */
import { StackshimError } from '../core/errors.ts';

const MAX_NUMBER = 999_999_999;

/** A number of revisions, or the number of one: 1 and above; undefined for undefined. Throws ERR_STACKSHIM_SPEC_INVALID that names the field. */
export function toPositive(field: string, text: string): number;
export function toPositive(field: string, text: string | undefined): number | undefined;
export function toPositive(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_NUMBER) return number;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `${field} ${JSON.stringify(text)}: not a whole number from 1`,
    { details: { field } },
  );
}
