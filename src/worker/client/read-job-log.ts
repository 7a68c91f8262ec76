/** Reads the output of a job: rows of its log, in the store or in a folder → pieces. Anyone may have written the rows. */
import { open } from 'node:fs/promises';
import { tolerate } from '../../core/errors.ts';
import { type JobPlace, jobName } from '../job/lane.ts';
import { readFields, toIsoTime } from '../job/stored-values.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { JobLogOptions, JobLogPiece } from './queues.ts';
import { openPace, watchEnd } from './wait-for-job.ts';

/** Reads the next rows of a growing log, from where the last call ended. Resolves to an empty list if there are none now. */
export type NextRows = () => Promise<readonly string[]>;

const ROWS_AT_ONCE = 200;

export function storedRows(store: QueueStore, { lane, id }: JobPlace): NextRows {
  const backend = store.backend(lane);
  let at = 0;
  return async () => {
    const { logs } = await backend.getJobLogs(id, at, at + ROWS_AT_ONCE - 1, true);
    at += logs.length;
    return logs;
  };
}

const BYTES_AT_ONCE = 262_144;

export function rowsOfFile(path: string): NextRows {
  let at = 0;
  let begun = Buffer.alloc(0);
  return async () => {
    for (;;) {
      const read = await readPart(path, at);
      if (read.length === 0) return [];
      at += read.length;
      const bytes = Buffer.concat([begun, read]);
      const end = bytes.lastIndexOf('\n') + 1;
      begun = bytes.subarray(end);
      if (end > 0) return bytes.toString('utf8', 0, end - 1).split('\n');
    }
  };
}

/** Resolves to an empty buffer if the file does not exist yet. */
async function readPart(path: string, at: number): Promise<Buffer> {
  const file = await open(path).catch(tolerate('ENOENT'));
  if (file === undefined) return Buffer.alloc(0);
  try {
    const buffer = Buffer.alloc(BYTES_AT_ONCE);
    const { bytesRead } = await file.read(buffer, 0, BYTES_AT_ONCE, at);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Parses one row. Undefined for a row that no worker of stackshim wrote. */
export function readRow(row: string): JobLogPiece | undefined {
  const { a, t, s, d, b } = readFields(row);
  const at = toIsoTime(t);
  if (!Number.isSafeInteger(a) || at === undefined || (s !== 'out' && s !== 'err'))
    return undefined;
  const piece = { attempt: Number(a), at, stream: s === 'out' ? 'stdout' : 'stderr' } as const;
  if (typeof d === 'string') return { ...piece, bytes: Buffer.from(d) };
  return typeof b === 'string' ? { ...piece, bytes: Buffer.from(b, 'base64') } : undefined;
}

/** Yields the existing output; with `follow`, continues until the job has ended. */
export async function* readJobLog(
  store: QueueStore,
  place: JobPlace,
  { rows, follow = false, tail, signal }: JobLogOptions & { readonly rows: NextRows },
): AsyncGenerator<JobLogPiece> {
  const pace = openPace(signal, `follow job ${jobName(place)}`);
  const look = watchEnd(store, place);
  let last = tail;
  for (;;) {
    // Look before reading: the rows then include everything that the worker wrote before the end.
    const ended = (await look()) !== undefined;
    if (last === undefined) yield* drain(rows);
    else {
      const pieces: JobLogPiece[] = [];
      for await (const piece of drain(rows)) pieces.push(piece);
      yield* lastLines(pieces, last);
    }
    last = undefined;
    if (ended || !follow) return;
    await pace();
  }
}

async function* drain(rows: NextRows): AsyncGenerator<JobLogPiece> {
  for (let next = await rows(); next.length > 0; next = await rows()) {
    for (const row of next) {
      const piece = readRow(row);
      if (piece !== undefined) yield piece;
    }
  }
}

const NEWLINE = 10;

/** Keeps the last lines, counted over both streams. A last line without a newline counts. */
function lastLines(pieces: readonly JobLogPiece[], lines: number): readonly JobLogPiece[] {
  if (lines === 0) return [];
  // The final newline ends a line; it does not begin another.
  let left = pieces.at(-1)?.bytes.at(-1) === NEWLINE ? lines + 1 : lines;
  const kept: JobLogPiece[] = [];
  for (const piece of pieces.toReversed()) {
    const { bytes } = piece;
    for (
      let at = bytes.lastIndexOf(NEWLINE);
      at !== -1;
      at = at === 0 ? -1 : bytes.lastIndexOf(NEWLINE, at - 1)
    ) {
      left -= 1;
      if (left > 0) continue;
      const rest = bytes.subarray(at + 1);
      if (rest.length > 0) kept.push({ ...piece, bytes: rest });
      return kept.toReversed();
    }
    kept.push(piece);
  }
  return kept.toReversed();
}
