/** The one shape of "this field has a value that is not allowed". */
import { StackshimError } from '../core/errors.ts';

/**
 * An ERR_STACKSHIM_SPEC_INVALID that names the field and, when it is short enough to read, the value.
 * `problem` completes the sentence `<field> <value>: …`.
 */
export function invalidField(field: string, problem: string, value?: unknown): StackshimError {
  const shown = showValue(value);
  return new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `${field}${shown === undefined ? '' : ` ${shown}`}: ${problem}`,
    { details: shown === undefined ? { field } : { field, value } },
  );
}

function showValue(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string' || value.length > 200) return undefined;
  return JSON.stringify(value);
}
