/** Where the output, the events and the result of `run` go. */
import { closeSync, writeSync } from 'node:fs';
import type { TaskEvent } from '../task/events.ts';
import type { TaskResult } from '../task/result.ts';
import type { OutputSink } from '../task/streams/output-sink.ts';
import { descriptorSink } from './descriptor-sink.ts';
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
  /** Writes the result where it was asked for, and waits until standard output has taken everything. */
  finish(result: TaskResult): Promise<void>;
}

/** Opens every file before a task is started: one that cannot be written must not cost a run. */
export async function openRunSinks(options: RunOptions): Promise<RunSinks> {
  const { events, result } = await openOutputs(options);
  return {
    streams: options.json
      ? { capture: true }
      : { stdout: descriptorSink(STDOUT), stderr: descriptorSink(STDERR) },
    onEvent(event) {
      if (events !== undefined) writeSync(events, `${toJsonText(toEventLine(event))}\n`);
    },
    async finish(record) {
      const json = `${toJsonText(record)}\n`;
      // Before the result: it may go to the same place.
      if (options.json) await descriptorSink(STDOUT).write(Buffer.from(json));
      result?.write(json);
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
