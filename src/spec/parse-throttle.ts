/** Limits on a disk's bandwidth, in the form of docker's `--device-read-bps PATH:RATE` and similar options. */
import { invalidField } from './invalid-field.ts';
import { parseBytes } from './parse-bytes.ts';
import { parseCount } from './parse-number.ts';
import { parseAbsolutePath } from './parse-path.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { Throttle, ThrottleKind } from './task-spec.ts';

/** Each kind with the field name that users know. */
export const THROTTLE_FIELDS = [
  ['readBps', 'deviceReadBps'],
  ['writeBps', 'deviceWriteBps'],
  ['readIops', 'deviceReadIops'],
  ['writeIops', 'deviceWriteIops'],
] as const satisfies readonly (readonly [ThrottleKind, string])[];

export type ThrottleField = (typeof THROTTLE_FIELDS)[number][1];

/** Lists of `PATH:RATE` by field; the policy uses the same names. */
export type ThrottleInput = Readonly<Partial<Record<ThrottleField, readonly string[] | undefined>>>;

/** Parses all limits of the four lists. Errors put `section` before the field's name. Throws ERR_STACKSHIM_SPEC_INVALID. */
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
