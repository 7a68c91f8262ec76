/** Turns field names in errors into option names of the command line: `--volume`, not `volumes[0]`. Pure. */
import type { ErrorJson } from '../core/errors.ts';
import { optionOf } from '../spec/options/task-options.ts';
import { keyOf, RUN_OPTIONS } from './run-options.ts';

const FIELD_ERROR_CODES = new Set([
  'ERR_STACKSHIM_SPEC_INVALID',
  'ERR_STACKSHIM_SPEC_DENIED',
  'ERR_STACKSHIM_DISK_FULL',
]);

/** Returns other errors unchanged: those about no field, or about a field without an option. */
export function nameOptions(error: ErrorJson): ErrorJson {
  if (!FIELD_ERROR_CODES.has(error.code)) return error;
  const [, field = '', rest = ''] = /^([a-zA-Z]+)(?:\[\d+\])?(.*)$/s.exec(error.message) ?? [];
  const option = toOption(field);
  return option === undefined ? error : { ...error, message: `${option}${rest}` };
}

function toOption(field: string): string | undefined {
  if (field === '') return undefined;
  const row = optionOf(field);
  if (row?.name !== undefined) return row.name;
  const flags = row?.flags ?? RUN_OPTIONS.find(([own]) => keyOf(own) === field)?.[0];
  return /--[a-z-]+/.exec(flags ?? '')?.[0];
}
