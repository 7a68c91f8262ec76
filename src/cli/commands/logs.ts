/** `stackshim logs`: prints the kept output of a task, each stream where the task wrote it. */
import { withoutUndefined } from '../../core/read-fields.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { DURATION, parseDuration } from '../../spec/quantities.ts';
import { requireRoot } from '../../task/installation.ts';
import type { LogPiece } from '../../task/reports/read-log.ts';
import { invalidOption, parseTail } from '../define/shared-options.ts';
import { descriptorSink } from '../run/descriptor-sink.ts';

interface LogsCommandOptions {
  readonly follow?: boolean;
  readonly tail: string;
  readonly since?: string;
  readonly timestamps?: boolean;
}

const FLUSH_BYTES = 65_536;

/** A reader that closes early, as `head` does, is not an error. */
export async function logs(given: string, options: LogsCommandOptions): Promise<void> {
  const tail = parseTail(options.tail);
  const since = options.since === undefined ? undefined : parseSince(options.since, Date.now());
  requireRoot('read logs');
  const gone = new AbortController();
  const pieces = await openDoor().logs(given, {
    follow: options.follow === true,
    signal: gone.signal,
    ...withoutUndefined({ tail, since }),
  });
  await writeAll(pieces, options.timestamps === true, () => gone.abort());
}

/** Writes pieces together as long as they come at once. Flushes before each pause. */
async function writeAll(
  pieces: AsyncIterable<LogPiece>,
  withTime: boolean,
  onGone: () => void,
): Promise<void> {
  const sinks = { stdout: descriptorSink(1, onGone), stderr: descriptorSink(2, onGone) };
  let last: LogPiece['stream'] = 'stdout';
  let chunks: Uint8Array[] = [];
  let size = 0;
  const push = (bytes: Uint8Array) => {
    chunks.push(bytes);
    size += bytes.length;
  };
  const flush = async () => {
    const bytes = Buffer.concat(chunks);
    [chunks, size] = [[], 0];
    if (bytes.length > 0) await sinks[last].write(bytes);
  };
  const iterator = pieces[Symbol.asyncIterator]();
  for (;;) {
    const next = iterator.next();
    if (size > 0 && (await Promise.race([next, nextTurn()])) === undefined) await flush();
    const { value, done } = await next;
    if (done === true) break;
    // Keep the order of both streams, which may lead to the same place.
    if (value.stream !== last) await flush();
    last = value.stream;
    if (withTime && value.beginsLine) push(Buffer.from(`${value.at} `));
    push(value.bytes);
    if (size >= FLUSH_BYTES) await flush();
  }
  await flush();
}

const nextTurn = () => new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));

const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?$/;
const SECONDS = /^\d{1,11}(?:\.\d{1,9})?$/;
/** The largest time of a `Date`. */
const LAST_MS = 8_640_000_000_000_000;

/** Parses seconds since 1970, a date and time, or how long ago, as docker does. Returns milliseconds since 1970. */
function parseSince(text: string, now: number): number {
  if (SECONDS.test(text)) return Number(text) * 1000;
  if (DURATION.test(text)) {
    return Math.max(0, now - parseDuration(text, 'since', { min: 0, max: LAST_MS }));
  }
  const ms = ISO.test(text) ? Date.parse(text) : Number.NaN;
  if (ms >= 0) return ms;
  const problem = 'not a time such as 10m, 2026-01-31T12:00:00Z or 1767225600';
  throw invalidOption('--since', text, problem);
}
