/** Where the output, the events and the result of `run` go. */
import { closeSync, writeSync } from 'node:fs';
import { type StackshimError, toStackshimError } from '../../core/errors.ts';
import type { TaskEvent } from '../../task/events.ts';
import type { TaskResult } from '../../task/result.ts';
import type { OutputSink } from '../../task/streams/output-sink.ts';
import type { RunOptions } from '../define/run-options.ts';
import { toJsonText } from '../print/printable.ts';
import { descriptorSink, toLostOutput } from './descriptor-sink.ts';

const STDOUT = 1;
const STDERR = 2;

/** Opens every file before the task starts: a file that cannot be written must not cost a run. */
export async function openRunSinks(options: RunOptions, onReaderGone: () => void) {
  /** Whether standard output gets a tar of the task's files. */
  const hasTar = options.output?.some((one) => /^[^:]*:-$/.test(one)) ?? false;
  // Load the code for files only if there are any.
  const hasFiles = hasTar || options.events !== undefined || options.result !== undefined;
  const files = hasFiles ? await import('./run-outputs.ts') : undefined;
  if (hasTar) files?.requireTarOutput(options);
  const events =
    options.events === undefined ? undefined : files?.openEvents(options.events, options);
  const writeResult =
    options.result === undefined ? undefined : files?.openResult(options.result, options);
  let lost: StackshimError | undefined;
  // A write error must not stop the task: keep it, and report it at the end.
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
    /** Options for `runTask`. */
    streams: options.json
      ? { capture: true }
      : {
          stdout: watched(hasTar ? STDERR : STDOUT),
          stderr: watched(STDERR),
          ...(hasTar ? { outputStream: descriptorSink(STDOUT, onReaderGone) } : {}),
        },
    onEvent(event: TaskEvent) {
      if (events === undefined || lost !== undefined) return;
      try {
        writeSync(events, `${toJsonText(toEventLine(event))}\n`);
      } catch (error) {
        lost = toLostOutput(options.events ?? 'events', error);
      }
    },
    /** The error if output, events or the result could not be written. The task itself does not notice. */
    lost: () => lost,
    /** Writes the result where it was requested, and waits until standard output has taken everything. */
    async finish(record: TaskResult) {
      const json = `${toJsonText(record)}\n`;
      // Write the JSON first: the result may go to the same place.
      if (options.json) await watched(STDOUT).write(Buffer.from(json));
      try {
        writeResult?.(json);
      } catch (error) {
        lost ??= toLostOutput(options.result ?? 'result', error);
      }
      if (events !== undefined) closeSync(events);
    },
  };
}

/** Encodes chunks in base64: they are bytes, not text. */
function toEventLine(event: TaskEvent): object {
  const time = new Date().toISOString();
  if (event.type !== 'output') return { time, ...event };
  const { chunk, ...rest } = event;
  return { time, ...rest, data: Buffer.from(chunk).toString('base64') };
}
