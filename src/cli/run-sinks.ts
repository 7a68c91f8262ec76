/** Where the output, the events and the result of `run` go. */
import { closeSync, writeSync } from 'node:fs';
import { type StackshimError, toStackshimError } from '../core/errors.ts';
import type { TaskEvent } from '../task/events.ts';
import type { TaskResult } from '../task/result.ts';
import type { OutputSink } from '../task/streams/output-sink.ts';
import { descriptorSink, toLostOutput } from './descriptor-sink.ts';
import { toJsonText } from './printable.ts';
import type { RunOptions } from './run-options.ts';
import type { ResultOutput } from './run-outputs.ts';

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
export async function openRunSinks(
  options: RunOptions,
  onReaderGone: () => void,
): Promise<RunSinks> {
  const { events, result } = await openOutputs(options);
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
  return {
    streams: options.json
      ? { capture: true }
      : { stdout: watched(STDOUT), stderr: watched(STDERR) },
    onEvent(event) {
      if (events === undefined || lost !== undefined) return;
      try {
        writeSync(events, `${toJsonText(toEventLine(event))}\n`);
      } catch (error) {
        lost = toLostOutput(options.events ?? 'events', error);
      }
    },
    lost: () => lost,
    async finish(record) {
      const json = `${toJsonText(record)}\n`;
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

interface Outputs {
  readonly events?: number;
  readonly result?: ResultOutput;
}

async function openOutputs(options: RunOptions): Promise<Outputs> {
  const { events, result } = options;
  // A task without such files need not wait for what opens them.
  if (events === undefined && result === undefined) return {};
  const { openEvents, openResult } = await import('./run-outputs.ts');
  return {
    ...(events === undefined ? {} : { events: openEvents(events, options) }),
    ...(result === undefined ? {} : { result: openResult(result, options) }),
  };
}

/** Chunks are bytes, not text: base64. */
function toEventLine(event: TaskEvent): object {
  const time = new Date().toISOString();
  if (event.type !== 'output') return { time, ...event };
  const { chunk, ...rest } = event;
  return { time, ...rest, data: Buffer.from(chunk).toString('base64') };
}
