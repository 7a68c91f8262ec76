/** Parses the frames in the files of a log. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import { namesIn } from '../../sys/files.ts';
import type { Fd } from '../../sys/system.ts';
import type { StreamName } from '../streams/task-output.ts';
import { logFile, logNumber } from './report-places.ts';

/** A part of a task's output, as it arrived. */
export interface LogPart {
  readonly stream: StreamName;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly bytes: Uint8Array;
}

const BUFFER_BYTES = 262_144;
/** Larger than any chunk of output. */
const MAX_FRAME_BYTES = 16_777_216;
const LONGEST_HEAD = 64;
const LINE_END = 0x0a;
const HEAD = /^(stdout|stderr) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\d{1,9})$/;

/** Turns the bytes of a log file into frames, wherever the bytes are split. Keeps an unfinished frame at the end back. */
export class FrameParser {
  #rest: Buffer = Buffer.alloc(0);
  #isBroken = false;

  /** Returns the frames that are complete by now. After bytes that are not a frame, this file yields nothing more. */
  push(bytes: Uint8Array): readonly LogPart[] {
    const parts: LogPart[] = [];
    if (this.#isBroken) return parts;
    this.#rest = Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (;;) {
      const frame = this.#frameAt(at);
      if (frame === undefined) break;
      parts.push(frame.part);
      at = frame.end;
    }
    this.#rest = Buffer.from(this.#rest.subarray(at));
    return parts;
  }

  /** Drops an unfinished frame at the end; returns the number of its bytes. */
  dropRest(): number {
    const { length } = this.#rest;
    if (this.#isBroken) return 0;
    this.#rest = Buffer.alloc(0);
    return length;
  }

  #frameAt(at: number): { readonly part: LogPart; readonly end: number } | undefined {
    const bytes = this.#rest;
    const headEnd = bytes.subarray(at, at + LONGEST_HEAD).indexOf(LINE_END);
    if (headEnd < 0) {
      this.#isBroken ||= bytes.length - at >= LONGEST_HEAD;
      return undefined;
    }
    const [, stream, time = '', length] =
      HEAD.exec(bytes.toString('latin1', at, at + headEnd)) ?? [];
    const size = Number(length);
    if (stream === undefined || size > MAX_FRAME_BYTES) {
      this.#isBroken = true;
      return undefined;
    }
    const start = at + headEnd + 1;
    const end = start + size;
    if (bytes.length <= end) return undefined;
    this.#isBroken = bytes[end] !== LINE_END;
    if (this.#isBroken) return undefined;
    const content = Buffer.from(bytes.subarray(start, end));
    return { part: { stream: stream as StreamName, at: time, bytes: content }, end: end + 1 };
  }
}

interface OpenLogFile {
  readonly number: number;
  readonly fd: Fd;
  readonly frames: FrameParser;
  /** Offset of the next read. */
  position: number;
}

/** One pass over a log that may still grow. */
export class LogReader {
  readonly #folder: string;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #file: OpenLogFile | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The next parts; undefined if there are no more now. */
  read(): readonly LogPart[] | undefined {
    for (;;) {
      this.#file ??= this.#openAfter(0);
      const file = this.#file;
      if (file === undefined) return undefined;
      const parts = this.#readOn(file);
      if (parts !== undefined) return parts;
      const next = this.#openAfter(file.number);
      if (next === undefined) return undefined;
      // The file was still written to between the two looks; now that there is a next file, no longer.
      const last = this.#readToEnd(file);
      if (last.length > 0) {
        closeSync(next.fd);
        return last;
      }
      closeSync(file.fd);
      this.#file = next;
    }
  }

  /** Undefined at the end of the file. An unfinished frame there is read again: it may be cut off, and another frame begin in its place. */
  #readOn(file: OpenLogFile): readonly LogPart[] | undefined {
    const bytes = readSync(file.fd, this.#buffer, 0, this.#buffer.length, file.position);
    file.position += bytes;
    if (bytes > 0) return file.frames.push(this.#buffer.subarray(0, bytes));
    file.position -= file.frames.dropRest();
    return undefined;
  }

  #readToEnd(file: OpenLogFile): readonly LogPart[] {
    const all: LogPart[] = [];
    for (let parts = this.#readOn(file); parts !== undefined; parts = this.#readOn(file)) {
      all.push(...parts);
    }
    return all;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  #openAfter(number: number): OpenLogFile | undefined {
    const numbers = namesIn(this.#folder).flatMap((name) => logNumber(name) ?? []);
    numbers.sort((one, other) => one - other);
    for (const candidate of numbers.filter((one) => one > number)) {
      const path = logFile(this.#folder, candidate);
      const fd = unlessMissing(() =>
        openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
      );
      if (fd !== undefined)
        return { number: candidate, fd, frames: new FrameParser(), position: 0 };
    }
    return undefined;
  }
}
