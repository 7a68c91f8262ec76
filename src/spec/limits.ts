/** Parses a task's limits: those with defaults and maxima in the policy, disk throttles, and resource limits (setrlimit(2)). */

import { invalidField } from './field-errors.ts';
import { LIMIT_OPTIONS } from './options/limit-options.ts';
import type { LimitRow } from './options/option-row.ts';
import { parseAbsolutePath } from './parse-path.ts';
import { parseBytes, parseCount } from './quantities.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { TaskLimits, Throttle, ThrottleKind, Ulimit } from './task-spec.ts';

interface Limit extends LimitRow {
  /** The name of the field in the caller's input. */
  readonly field: keyof typeof LIMIT_OPTIONS;
  readonly limit: keyof TaskLimits;
  readonly policy: string;
}

export const LIMITS = Object.entries(LIMIT_OPTIONS).map(([field, row]) => ({
  policy: field,
  ...row,
  field,
})) as readonly Limit[];

/** Collects the limits that `find` returns; leaves undefined ones out. */
export function toLimits(find: (limit: Limit) => number | undefined): TaskLimits {
  const limits: { -readonly [L in keyof TaskLimits]: TaskLimits[L] } = {};
  for (const limit of LIMITS) {
    const value = find(limit);
    if (value !== undefined) limits[limit.limit] = value;
  }
  return limits;
}

/** Parses the limits of an object. `name` returns a limit's name in that object; errors put `section` before it. */
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

/** Each kind of throttle, with the field in which users give it. */
export const THROTTLE_FIELDS = [
  ['readBps', 'deviceReadBps'],
  ['writeBps', 'deviceWriteBps'],
  ['readIops', 'deviceReadIops'],
  ['writeIops', 'deviceWriteIops'],
] as const satisfies readonly (readonly [ThrottleKind, string])[];

export type ThrottleField = (typeof THROTTLE_FIELDS)[number][1];

/** Lists of `PATH:RATE` by field, in the syntax of docker's `--device-read-bps` and similar options. The policy uses the same names. */
export type ThrottleInput = Readonly<Partial<Record<ThrottleField, readonly string[] | undefined>>>;

/** Parses the limits of all four lists. Errors put `section` before the field's name. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseThrottles(given: ThrottleInput, section = ''): readonly Throttle[] {
  return THROTTLE_FIELDS.flatMap(([kind, field]) => {
    const texts = given[field] ?? [];
    return texts.map((text, i) => parseThrottle(kind, text, `${section}${field}[${i}]`));
  });
}

function parseThrottle(kind: ThrottleKind, text: string, field: string): Throttle {
  const colon = text.lastIndexOf(':');
  if (colon <= 0) throw invalidField(field, 'not PATH:RATE', text);
  const rate = text.slice(colon + 1);
  const perSecond = kind.endsWith('Bps')
    ? parseBytes(rate, field, { min: 1 })
    : parseCount(rate, field, { min: 1, max: SPEC_BOUNDS.iopsMax });
  return { kind, path: parseAbsolutePath(text.slice(0, colon), field), perSecond };
}

const ULIMITS =
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack';
export const ULIMIT_NAMES: readonly string[] = ULIMITS.split(' ');

const ULIMIT = /^([a-z]+)=(-1|\d{1,15})(?::(-1|\d{1,15}))?$/;

/** Matches the text of every valid limit. */
export const ULIMIT_FORM = new RegExp(ULIMIT.source.replace('[a-z]+', ULIMIT_NAMES.join('|')));

/** Parses `nofile=1024:2048`, or one number for both; `-1` is unlimited (Infinity). Units: setrlimit(2). Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseUlimit(text: string, field: string): Ulimit {
  const [, name = '', softText = '', hardText = softText] = ULIMIT.exec(text) ?? [];
  if (name === '') throw invalidField(field, 'not TYPE=SOFT or TYPE=SOFT:HARD', text);
  if (!ULIMIT_NAMES.includes(name)) {
    throw invalidField(field, `no such limit; the limits are ${ULIMIT_NAMES.join(', ')}`, text);
  }
  const toNumber = (text: string) => (text === '-1' ? Number.POSITIVE_INFINITY : Number(text));
  const [soft, hard] = [toNumber(softText), toNumber(hardText)];
  if (soft > hard) throw invalidField(field, 'its soft limit is above its hard limit', text);
  return { type: `RLIMIT_${name.toUpperCase()}`, soft, hard };
}
