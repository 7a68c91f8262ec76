/** Holds a shim at a chosen event: its `--events` pipe is filled until that event does not fit. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { expect } from 'vitest';
import { scaled } from '../../support/timing/time-scale.ts';

/** The default capacity of a pipe: sixteen pages, pipe(7). A write that fits into the last page is merged into it. */
const PAGE_BYTES = 4096;
const PAGES = 16;

export interface HeldEvents {
  /** The path for `--events`. */
  readonly path: string;
  /** Resolves once the process waits for space in the pipe. */
  held(pid: number): Promise<void>;
  /** Removes the pipe. Returns the events that fitted, one JSON object each. */
  release(): readonly { readonly type: string }[];
}

/** @param roomBytes Size of the events before the one to hold; less than a page. */
export function holdEvents(path: string, roomBytes: number): HeldEvents {
  execFileSync('mkfifo', [path]);
  // Open for reading and writing: neither this open nor the shim's waits for the other end.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  for (let page = 0; page < PAGES; page += 1) {
    const isLast = page === PAGES - 1;
    writeSync(fd, Buffer.alloc(isLast ? PAGE_BYTES - roomBytes : PAGE_BYTES, '\n'));
  }
  return {
    path,
    held: (pid) =>
      expect
        .poll(() => readFileSync(`/proc/${pid}/wchan`, 'utf8'), {
          timeout: scaled(20_000),
          interval: 2,
        })
        .toMatch(/pipe_write/),
    release() {
      const all = Buffer.alloc(PAGE_BYTES * PAGES);
      const text = all.toString('utf8', 0, readSync(fd, all));
      closeSync(fd);
      const lines = text.split('\n').filter((line) => line !== '');
      return lines.map((line) => JSON.parse(line));
    },
  };
}
