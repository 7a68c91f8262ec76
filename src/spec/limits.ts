/** The limits of a task that have defaults and maxima in the policy, from the table of options. */
import { LIMIT_OPTIONS } from './options/limit-options.ts';
import type { LimitRow } from './options/option-row.ts';
import type { TaskLimits } from './task-spec.ts';

interface Limit extends LimitRow {
  /** In the caller's input. */
  readonly field: keyof typeof LIMIT_OPTIONS;
  readonly limit: keyof TaskLimits;
}

export const LIMITS = Object.entries(LIMIT_OPTIONS).map(([field, row]) => ({
  ...row,
  field,
})) as readonly Limit[];

/** Collects the limits that `find` returns; undefined ones are left out. */
export function toLimits(find: (limit: Limit) => number | undefined): TaskLimits {
  const limits: { -readonly [L in keyof TaskLimits]: TaskLimits[L] } = {};
  for (const limit of LIMITS) {
    const value = find(limit);
    if (value !== undefined) limits[limit.limit] = value;
  }
  return limits;
}

/** Parses the limits of an object. `name` gives a limit's name in that object; errors put `section` before it. */
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
