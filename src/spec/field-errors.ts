/** The errors for a field whose value is invalid or not allowed. */
import { StackshimError } from '../core/errors.ts';
import { type Reader, readWith } from '../core/read-fields.ts';

/** Makes an ERR_STACKSHIM_SPEC_INVALID with the field and, if short enough to read, the value. `problem` completes `<field> <value>: …`. */
export function invalidField(field: string, problem: string, value?: unknown): StackshimError {
  const shown = showValue(value);
  const message = `${field}${shown === undefined ? '' : ` ${shown}`}: ${problem}`;
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, {
    details: shown === undefined ? { field } : { field, value },
  });
}

/** An ERR_STACKSHIM_SPEC_INVALID about one field, with a message of its own. */
export const invalidInput = (field: string, message: string, hint?: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { hint, details: { field } });

/** Reads a user's input. `what` names the whole value: `task`. Throws like {@link invalidField} for the first invalid field. */
export function readInput<T>(reader: Reader<T>, input: unknown, what: string): T {
  return readWith(reader, input, ({ field, problem, value }) =>
    invalidField(field === '' ? what : field, problem, value),
  );
}

function showValue(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string' || value.length > 200) return undefined;
  return JSON.stringify(value);
}

export interface Denial {
  readonly field: string;
  readonly asked: string | number;
  readonly allowed: string | number | readonly string[];
  /** `asked` in the form that people write. Default: `asked`. */
  readonly shown?: string;
  /** Completes the sentence `<field> <asked>: …`. */
  readonly reason: string;
}

/** Makes an ERR_STACKSHIM_SPEC_DENIED that names the field and both values. */
export function deniedField({ field, asked, allowed, reason, shown }: Denial): StackshimError {
  return new StackshimError('ERR_STACKSHIM_SPEC_DENIED', `${field} ${shown ?? asked}: ${reason}`, {
    details: { field, asked, allowed },
  });
}
