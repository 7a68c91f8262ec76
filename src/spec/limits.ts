/** The limits of a task that the policy has defaults and maxima for, as the table of options lists them. */
import { LIMIT_OPTIONS } from './options/limit-options.ts';
import type { LimitRow } from './options/option-row.ts';
import type { TaskLimits } from './task-spec.ts';

interface Limit extends LimitRow {
  /** Of a task as it is given. */
  readonly field: keyof typeof LIMIT_OPTIONS;
  readonly limit: keyof TaskLimits;
}

export const LIMITS = Object.entries(LIMIT_OPTIONS).map(([field, row]) => ({
  ...row,
  field,
})) as readonly Limit[];

/** Limits that `find` knows; those that it does not know are left out. */
export function toLimits(find: (limit: Limit) => number | undefined): TaskLimits {
  const limits: { -readonly [L in keyof TaskLimits]: TaskLimits[L] } = {};
  for (const limit of LIMITS) {
    const value = find(limit);
    if (value !== undefined) limits[limit.limit] = value;
  }
  return limits;
}

/** Parses the limits that an object was read to have. `name` says what a limit is called in it, and in errors behind `section`. */
export function parseLimits(
  given: object,
  name: (limit: Limit) => string,
  section = '',
): TaskLimits {
  return toLimits((limit) => {
    const value: string | number | undefined = Reflect.get(given, name(limit));
    return value === undefined ? undefined : limit.value.parse(value, `${section}${name(limit)}`);
  });
}
