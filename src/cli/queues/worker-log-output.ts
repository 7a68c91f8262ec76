/** Writes the log of `stackshim worker` to standard output: lines of JSON, or of text on a terminal. */
import { isatty } from 'node:tty';
import { toPrintable } from '../../core/errors.ts';
import { within } from '../../core/pause.ts';
import type { OutputSink } from '../../task/streams/output-sink.ts';
import { STDOUT } from '../print/terminal.ts';
import { descriptorSink } from '../run/descriptor-sink.ts';

/** A reader that is further behind loses lines. */
const MAX_WAITING_CHARS = 1_048_576;
const FLUSH_MS = 2_000;

export const openLogOutput = () =>
  queueLines(descriptorSink(STDOUT), isatty(STDOUT) ? toTextLine : (line) => line);

/** Writes one line after another. */
export function queueLines(sink: OutputSink, format: (line: string) => string) {
  let waiting: string[] = [];
  let waitingChars = 0;
  let lost = 0;
  let writing: Promise<void> | undefined;
  const writeAll = async () => {
    while (waiting.length > 0) {
      const lines = waiting;
      [waiting, waitingChars] = [[], 0];
      try {
        await sink.write(Buffer.from(lines.join('')));
      } catch {
        // Nobody can be told that the log cannot be written. The worker goes on.
      }
    }
    writing = undefined;
  };
  const enqueue = (line: string) => {
    waiting.push(line);
    waitingChars += line.length;
    writing ??= writeAll();
  };
  return {
    /** Never waits: a slow reader must not hold up the worker. */
    write(line: string) {
      if (waitingChars > MAX_WAITING_CHARS) {
        lost += 1;
        return;
      }
      if (lost > 0) enqueue(format(lostLine(lost)));
      lost = 0;
      enqueue(format(line));
    },
    /** Resolves once everything is written, or after two seconds. */
    async flush() {
      if (writing !== undefined) await within(writing, FLUSH_MS);
    },
  };
}

const lostLine = (count: number) =>
  `${JSON.stringify({
    level: 'warn',
    time: new Date().toISOString(),
    event: 'log_lost',
    lines: count,
    msg: `${count} lines were not written: the reader of the log was too slow`,
  })}\n`;

const TIME_OF_DAY = [11, 19] as const;
const LEVEL_WIDTH = 5;

/** Formats `12:03:04 info  took mail~acme~~k3…`. @param line A line that the logger made. */
export function toTextLine(line: string): string {
  const { level, time, msg }: Record<'level' | 'time' | 'msg', string> = JSON.parse(line);
  return `${time.slice(...TIME_OF_DAY)} ${level.padEnd(LEVEL_WIDTH)} ${toPrintable(msg)}\n`;
}
