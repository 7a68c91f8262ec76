/** Resource limits as `--ulimit` writes them. */
import { invalidField } from './invalid-field.ts';
import type { Ulimit } from './task-spec.ts';

const NAMES = [
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
] as const;

const ULIMIT = /^([a-z]+)=(-1|\d{1,15})(?::(-1|\d{1,15}))?$/;

/** No text of another form is a limit. */
export const ULIMIT_FORM = new RegExp(ULIMIT.source.replace('[a-z]+', NAMES.join('|')));

/** `nofile=1024:2048`, or one number for both; `-1` is unlimited (Infinity). Units as in setrlimit(2). Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseUlimit(text: string, field: string): Ulimit {
  const [, name = '', softText = '', hardText = softText] = ULIMIT.exec(text) ?? [];
  if (name === '') throw invalidField(field, 'not TYPE=SOFT or TYPE=SOFT:HARD', text);
  if (!NAMES.some((known) => known === name)) {
    throw invalidField(field, `no such limit; the limits are ${NAMES.join(', ')}`, text);
  }
  const soft = toLimit(softText);
  const hard = toLimit(hardText);
  if (soft > hard) throw invalidField(field, 'its soft limit is above its hard limit', text);
  return { type: `RLIMIT_${name.toUpperCase()}`, soft, hard };
}

function toLimit(text: string): number {
  return text === '-1' ? Number.POSITIVE_INFINITY : Number(text);
}
