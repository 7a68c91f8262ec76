/** What this process knows of the terminals that it writes to. */
import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { errnoCodeOf } from '../../core/errors.ts';
import { linuxSystem } from '../../sys/linux-system.ts';

export const STDOUT = 1;
export const STDERR = 2;

/** Assumed if a serial line, or a terminal that a program made, reports an unknown size as 0. */
const UNKNOWN_SIZE = { rows: 24, columns: 80 };

/** Returns the rows and columns of the terminal on a descriptor; undefined if it is no terminal. */
export function terminalSize(
  fd: number,
): { readonly rows: number; readonly columns: number } | undefined {
  if (!isatty(fd)) return undefined;
  const { rows, columns } = linuxSystem.windowSize(fd);
  return { rows: rows || UNKNOWN_SIZE.rows, columns: columns || UNKNOWN_SIZE.columns };
}

/** Whether text for people may be more than ASCII, according to the locale (locale(7)). */
export function isUtf8(env: NodeJS.ProcessEnv = process.env): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || 'C';
  return /utf-?8/i.test(locale);
}

/** Whether output on a descriptor is coloured: only on a terminal that can, unless NO_COLOR is set. */
export const takesColor = (fd: number, env: NodeJS.ProcessEnv = process.env): boolean =>
  isatty(fd) && !env['NO_COLOR'] && env['TERM'] !== 'dumb';

/** Whether lines on a descriptor can be drawn again. */
export const canRedraw = (fd: number): boolean => isatty(fd) && process.env['TERM'] !== 'dumb';

/** A stream that shows progress: standard error, or a test's own. */
export interface ProgressStream {
  /** Whether its lines can be drawn again. */
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/** Opens standard error by its descriptor. Drops what cannot be written: progress must neither end the work nor wait for a reader that has gone. */
export function openStderr(): ProgressStream {
  let isGone = false;
  return {
    isTTY: canRedraw(STDERR),
    get columns() {
      return terminalSize(STDERR)?.columns ?? UNKNOWN_SIZE.columns;
    },
    get rows() {
      return terminalSize(STDERR)?.rows ?? UNKNOWN_SIZE.rows;
    },
    write(text) {
      if (isGone) return;
      try {
        writeAll(STDERR, Buffer.from(text));
      } catch {
        isGone = true;
      }
    },
  };
}

const nap = new Int32Array(new SharedArrayBuffer(4));
const NAP_MS = 1;
const PATIENCE_MS = 2000;

function writeAll(fd: number, bytes: Uint8Array): void {
  const giveUpAt = Date.now() + PATIENCE_MS;
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if (errnoCodeOf(error) !== 'EAGAIN' || Date.now() > giveUpAt) throw error;
      // The descriptor is full, and another process has made it non-blocking.
      Atomics.wait(nap, 0, 0, NAP_MS);
    }
  }
}
