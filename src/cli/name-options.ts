/** Errors about a task's fields, in the words of the command line: `--volume`, not `volumes[0]`. Pure. */
import type { ErrorJson } from '../core/errors.ts';
import { RUN_OPTIONS } from './run-options.ts';

/** Fields that are not called as their option is. */
const NAMES: Readonly<Record<string, string>> = {
  stack: 'STACK',
  command: 'COMMAND',
  id: '--name',
  ulimits: '--ulimit',
  mounts: '--mount',
  volumes: '-v',
  devices: '--device',
  labels: '--label',
};

const OF_FIELDS = new Set([
  'ERR_STACKSHIM_SPEC_INVALID',
  'ERR_STACKSHIM_SPEC_DENIED',
  'ERR_STACKSHIM_DISK_FULL',
]);

/** The same error where it is about no field, or about one that no option gives. */
export function nameOptions(error: ErrorJson): ErrorJson {
  if (!OF_FIELDS.has(error.code)) return error;
  const [, field = '', rest = ''] = /^([a-zA-Z]+)(?:\[\d+\])?(.*)$/s.exec(error.message) ?? [];
  const option = toOption(field);
  return option === undefined ? error : { ...error, message: `${option}${rest}` };
}

function toOption(field: string): string | undefined {
  const named = Object.hasOwn(NAMES, field) ? NAMES[field] : undefined;
  if (named !== undefined) return named;
  const long = `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  return RUN_OPTIONS.some(([flags]) => flags.split(/[ ,]+/).includes(long)) ? long : undefined;
}
