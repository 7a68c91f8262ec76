/** Names of stacks, numbers of revisions and counts, as they stand on a command line. */
import { StackshimError } from '../core/errors.ts';
import { isStackName, type StackName } from '../core/ids.ts';

/** Throws ERR_STACKSHIM_SPEC_INVALID for what cannot be a stack's name. */
export function toStackName(operation: string, name: string): StackName {
  if (isStackName(name)) return name;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `${operation} ${JSON.stringify(name)}: not a name of lower-case letters, digits, ".", "_" and "-"`,
    { hint: 'run stackshim stack ls to list the stacks', details: { field: 'name' } },
  );
}

const MAX_NUMBER = 999_999_999;

/** A number of revisions, or the number of one: 1 and above. Throws ERR_STACKSHIM_SPEC_INVALID that names the field. */
export function toPositive(field: string, text: string): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_NUMBER) return number;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `${field} ${JSON.stringify(text)}: not a whole number from 1`,
    { details: { field } },
  );
}
