/** Options that several commands share. */
import { StackshimError } from '../core/errors.ts';

export const JSON_FLAG = ['--json', 'print JSON'] as const;

/** The value that commander passes on. */
export interface JsonOption {
  readonly json?: boolean;
}

const MAX_NUMBER = 999_999_999;

/** Parses a revision number or a count: 1 or more. Throws ERR_STACKSHIM_SPEC_INVALID that names the field. */
export function toPositive(field: string, text: string): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_NUMBER) return number;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `${field} ${JSON.stringify(text)}: not a whole number from 1`,
    { details: { field } },
  );
}
