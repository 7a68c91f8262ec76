/** Where the output, the events and the result of `run` go. */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { reasonOf, StackshimError, toStackshimError } from '../core/errors.ts';
import type { TaskEvent } from '../task/events.ts';
import type { TaskResult } from '../task/result.ts';
import type { OutputSink } from '../task/streams/output-sink.ts';
import { descriptorSink, toLostOutput } from './descriptor-sink.ts';
import type { RunOptions } from './run-options.ts';

const STDOUT = 1;
const STDERR = 2;

export interface RunSinks {
  /** For `runTask`. */
  readonly streams: {
    readonly stdout?: OutputSink;
    readonly stderr?: OutputSink;
    readonly capture?: boolean;
  };
  onEvent(event: TaskEvent): void;
  /** Output, events or a result that could not be written; the task itself has not noticed. */
  lost(): StackshimError | undefined;
  /** Writes the result where it was asked for, and waits until standard output has taken everything. */
  finish(result: TaskResult): Promise<void>;
}

/** Opens every file before a task is started: one that cannot be written must not cost a run. */
export function openRunSinks(options: RunOptions, onReaderGone: () => void): RunSinks {
  const events = options.events === undefined ? undefined : openForWriting(options.events);
  let lost: StackshimError | undefined;
  // A task is not stopped for it, and would be if its output were not taken any more.
  const watched = (fd: number): OutputSink => {
    const sink = descriptorSink(fd, onReaderGone);
    return {
      async write(chunk) {
        try {
          await sink.write(chunk);
        } catch (error) {
          lost ??= toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'write output');
        }
      },
    };
  };
  const result = options.result === undefined ? undefined : openResultFile(options.result);
  return {
    streams: options.json
      ? { capture: true }
      : { stdout: watched(STDOUT), stderr: watched(STDERR) },
    onEvent(event) {
      if (events === undefined || lost !== undefined) return;
      try {
        writeSync(events, `${JSON.stringify(toEventLine(event))}\n`);
      } catch (error) {
        lost = toLostOutput(options.events ?? 'events', error);
      }
    },
    lost: () => lost,
    async finish(record) {
      const json = `${JSON.stringify(record)}\n`;
      // Before the result: it may go to the same place.
      if (options.json) await watched(STDOUT).write(Buffer.from(json));
      try {
        result?.write(json);
      } catch (error) {
        lost ??= toLostOutput(options.result ?? 'result', error);
      }
      if (events !== undefined) closeSync(events);
    },
  };
}

/** Chunks are bytes, not text: base64. */
function toEventLine(event: TaskEvent): object {
  const time = new Date().toISOString();
  if (event.type !== 'output') return { time, ...event };
  const { chunk, ...rest } = event;
  return { time, ...rest, data: Buffer.from(chunk).toString('base64') };
}

/** A plain file is replaced in one step at the end; a pipe, a device or a descriptor is opened now and written to then. */
function openResultFile(path: string): { write(json: string): void } {
  // A link is written through, never replaced: `/dev/stderr` is one.
  const isPlain = lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? true;
  // The name of a descriptor must never be replaced by a file, whatever the descriptor is: it is the host's /dev/stdout.
  if (!isPlain || ownDescriptor(path) !== undefined) {
    const fd = openForWriting(path);
    return { write: (json) => writeFileSync(fd, json) };
  }
  const file = existsSync(path) ? realpathSync(path) : path;
  writable(path, () => accessSync(dirname(file), constants.W_OK));
  return {
    write(json) {
      const next = `${file}.${process.pid}.tmp`;
      writeFileSync(next, json);
      renameSync(next, file);
    },
  };
}

/** A descriptor of ours is used as it is: one that is a socket, as Node gives to children, cannot be opened by its path. */
const openForWriting = (path: string): number =>
  writable(path, () => {
    const own = ownDescriptor(path);
    if (own === undefined) return openSync(path, 'w', 0o644);
    fstatSync(own);
    return own;
  });

function ownDescriptor(path: string): number | undefined {
  if (path === '/dev/stdout') return 1;
  if (path === '/dev/stderr') return 2;
  const digits = /^\/(?:dev|proc\/self)\/fd\/(\d{1,7})$/.exec(path)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function writable<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `write ${path}: ${reasonOf(error)}`, {
      cause: error,
      hint: 'name a file in a folder that exists and can be written to',
      details: { path },
    });
  }
}
