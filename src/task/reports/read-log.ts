/** `logs`: the output of a task with `log`, while it runs and after its end. */

import { existsSync } from 'node:fs';
import type { TaskId } from '../../core/ids.ts';
import { type Layout, reportDir as ownReportDir } from '../../core/layout.ts';
import { pause } from '../../core/pause.ts';
import type { Installation } from '../installation.ts';
import { isOrphaned } from '../records/claim-record.ts';
import { isUnreadable, readRecord } from '../records/read-record.ts';
import { toTaskConflict, toTaskNotFound } from '../records/task-errors.ts';
import { recordedPlaces } from '../records/task-places.ts';
import type { StreamName } from '../streams/task-output.ts';
import { type LogPart, LogReader } from './log-frames.ts';
import { readReportAt } from './report.ts';
import { reportPlaces } from './report-places.ts';

/** What to read of a log. */
export interface LogOptions {
  /** Whether to go on until the task has ended. Default: end with the output that is there now. */
  readonly follow?: boolean;
  /** The number of last lines to read. Default: all. */
  readonly tail?: number;
  /** Only output from this time on, in milliseconds since 1970. */
  readonly since?: number;
  /** An abort ends the reading; the task goes on. */
  readonly signal?: AbortSignal;
}

/** A line of a task's output, with its line break, or a piece of a line; in order of arrival. */
export interface LogPiece extends LogPart {
  /** Whether the piece begins a line of its stream. */
  readonly beginsLine: boolean;
}

const POLL_MS = 50;

const READ_LOG = 'read log of task';

/** Reads a task's log; beyond its bound, the oldest output is missing. Throws ERR_STACKSHIM_TASK_NOT_FOUND, _TASK_CONFLICT if there is no log. */
export const readLog = (
  installation: Installation,
  id: TaskId,
  options: LogOptions,
): AsyncIterable<LogPiece> => readPieces(installation, id, findLog(installation, id), options);

/** The folder of the task's report; while the task exists, in the root folder that its record names. */
function findLog({ layout }: Installation, id: TaskId): string {
  const record = readRecord(layout, id);
  if (record !== undefined) {
    const { reportDir } = recordedPlaces(layout, record);
    if (existsSync(reportDir)) return reportDir;
    const hint = 'start the task with --log or -d to keep its output';
    throw toTaskConflict(READ_LOG, id, { why: 'it keeps no log', hint });
  }
  const folder = ownReportDir(layout, id);
  // The log can be read even if the rest of the report is damaged.
  if (existsSync(reportPlaces(folder).taskFile)) return folder;
  throw toTaskNotFound(READ_LOG, id);
}

/** Reads in steps, so that the process can do other work. */
async function* readPieces(
  { layout }: Installation,
  id: TaskId,
  folder: string,
  { follow = false, tail, since, signal }: LogOptions,
): AsyncGenerator<LogPiece> {
  const reader = new LogReader(folder);
  const split = lineSplitter(since === undefined ? '' : new Date(since).toISOString());
  let last = tail === undefined ? undefined : new LastLines(tail);
  try {
    for (;;) {
      // Check first: output from before the end is then read below.
      const isOver = !follow || hasEnded(layout, id, folder);
      for (let parts = reader.read(); parts !== undefined; parts = reader.read()) {
        if (signal?.aborted) return;
        const pieces = split(parts);
        if (last === undefined) yield* pieces;
        else last.push(pieces);
        await pause(0);
      }
      if (last !== undefined) yield* last.pieces();
      last = undefined;
      if (isOver || signal?.aborted) return;
      await pause(POLL_MS);
    }
  } finally {
    reader.close();
  }
}

/** Whether no more output will be written. */
function hasEnded(layout: Layout, id: TaskId, folder: string): boolean {
  const record = readRecord(layout, id);
  if (record !== undefined && (record.kept || isOrphaned(record))) return true;
  try {
    return readReportAt(folder)?.state !== 'open';
  } catch (error) {
    if (isUnreadable(error)) return record === undefined;
    throw error;
  }
}

const LINE_END = 0x0a;

/** Returns a function that cuts parts into lines, and leaves out parts from before `from`. */
function lineSplitter(from: string) {
  const isInLine = { stdout: false, stderr: false };
  return (parts: readonly LogPart[]): readonly LogPiece[] => {
    const pieces: LogPiece[] = [];
    for (const part of parts) {
      if (part.at < from) continue;
      for (let start = 0; start < part.bytes.length; ) {
        const end = part.bytes.indexOf(LINE_END, start);
        const next = end < 0 ? part.bytes.length : end + 1;
        const beginsLine = !isInLine[part.stream];
        pieces.push({ ...part, bytes: part.bytes.subarray(start, next), beginsLine });
        isInLine[part.stream] = end < 0;
        start = next;
      }
    }
    return pieces;
  };
}

type Line = { readonly piece: LogPiece; readonly place: number }[];

/** Keeps the last lines of both streams together. */
class LastLines {
  readonly #count: number;
  #lines: Line[] = [];
  #place = 0;
  /** The last line of each stream, which may go on. */
  readonly #open: { [Name in StreamName]?: Line } = {};

  constructor(count: number) {
    this.#count = count;
  }

  push(pieces: readonly LogPiece[]): void {
    for (const piece of pieces) {
      if (piece.beginsLine) {
        const line: Line = [];
        this.#lines.push(line);
        this.#open[piece.stream] = line;
      }
      this.#open[piece.stream]?.push({ piece, place: this.#place });
      this.#place += 1;
    }
    // Dropping one line at a time would take quadratic time.
    if (this.#lines.length > 2 * this.#count + KEPT_LINES) {
      this.#lines = this.#lines.slice(this.#lines.length - this.#count);
    }
  }

  /** In order of arrival. */
  pieces(): readonly LogPiece[] {
    const kept = this.#count === 0 ? [] : this.#lines.slice(-this.#count);
    return kept
      .flat()
      .sort((one, other) => one.place - other.place)
      .map(({ piece }) => piece);
  }
}

const KEPT_LINES = 1_000;
