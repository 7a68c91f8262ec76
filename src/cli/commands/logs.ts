/** `stackshim logs`: the kept output of a task, each stream where the task wrote it. */
import { withoutUndefined } from '../../core/read-fields.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { DURATION, parseDuration } from '../../spec/quantities.ts';
import { requireRoot } from '../../task/installation.ts';
import type { LogPiece } from '../../task/reports/read-log.ts';
import type { OutputSink } from '../../task/streams/output-sink.ts';
import { invalidOption, parseTail } from '../define/shared-options.ts';
import { descriptorSink } from '../run/descriptor-sink.ts';

interface LogsCommandOptions {
  readonly follow?: boolean;
  readonly tail: string;
  readonly since?: string;
  readonly timestamps?: boolean;
}

const FLUSH_BYTES = 65_536;

/** A reader that has gone, as `head` does, is not an error. */
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
  const writer = new PieceWriter(options.timestamps === true, () => gone.abort());
  await writeAll(pieces, writer);
}

/** Writes pieces together as long as they come at once, and before each pause. */
async function writeAll(pieces: AsyncIterable<LogPiece>, writer: PieceWriter): Promise<void> {
  const iterator = pieces[Symbol.asyncIterator]();
  for (;;) {
    const next = iterator.next();
    if (writer.hasMore && (await Promise.race([next, nextTurn()])) === undefined) {
      await writer.flush();
    }
    const { value, done } = await next;
    if (done === true) break;
    await writer.add(value);
  }
  await writer.flush();
}

const nextTurn = () => new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));

class PieceWriter {
  readonly #withTime: boolean;
  readonly #sinks: { readonly [Name in LogPiece['stream']]: OutputSink };
  #stream: LogPiece['stream'] = 'stdout';
  #chunks: Uint8Array[] = [];
  #size = 0;

  constructor(withTime: boolean, onGone: () => void) {
    this.#withTime = withTime;
    this.#sinks = { stdout: descriptorSink(1, onGone), stderr: descriptorSink(2, onGone) };
  }

  get hasMore(): boolean {
    return this.#size > 0;
  }

  async add({ stream, at, bytes, beginsLine }: LogPiece): Promise<void> {
    // The order of both streams matters where they lead to the same place.
    if (stream !== this.#stream) await this.flush();
    this.#stream = stream;
    if (this.#withTime && beginsLine) this.#push(Buffer.from(`${at} `));
    this.#push(bytes);
    if (this.#size >= FLUSH_BYTES) await this.flush();
  }

  #push(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
  }

  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#size = 0;
    if (bytes.length > 0) await this.#sinks[this.#stream].write(bytes);
  }
}

const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?$/;
const SECONDS = /^\d{1,11}(?:\.\d{1,9})?$/;
/** The largest time that a `Date` can have. */
const LAST_MS = 8_640_000_000_000_000;

/** As docker reads it: seconds since 1970, a date and time, or how long ago. Milliseconds since 1970. */
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
