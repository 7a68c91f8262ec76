/** Signals by name or number, as docker takes them: `TERM`, `SIGQUIT`, `RTMIN+3`, `9`. */
import { constants } from 'node:os';
import { invalidField } from './field-errors.ts';

/** signal(7): the C library reserves the kernel's first two real-time signals. */
const RTMIN = 34;
const RTMAX = 64;

const known = new Map<string, number>(Object.entries(constants.signals));

/** The number of a signal; undefined if there is no signal with that name or number. */
export function toSignalNumber(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return inRange(Number(text), 1);
  const name = text.toUpperCase().replace(/^(?:SIG)?/, 'SIG');
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime === null) return known.get(name);
  const [, end, sign, steps = '0'] = realTime;
  const offset = sign === '-' ? -Number(steps) : Number(steps);
  return inRange((end === 'MIN' ? RTMIN : RTMAX) + offset, RTMIN);
}

const inRange = (signal: number, least: number) =>
  signal >= least && signal <= RTMAX ? signal : undefined;

/** Throws ERR_STACKSHIM_SPEC_INVALID that names `field`. */
export function parseSignal(text: string, field: string): number {
  const signal = toSignalNumber(text);
  if (signal !== undefined) return signal;
  throw invalidField(field, 'not a signal such as TERM, SIGQUIT, RTMIN+3 or 9', text);
}
