/**
 * Reads what a task writes to the file named by TASK_PROGRESS_FILE. Loaded only for tasks that have the file.
 *
 * The file lies in a tmpfs of its own, which the task may treat as it likes. It is read through a descriptor of that filesystem,
 * which leads to no mount of the task. None of the calls can block on the task, so they run on the event loop ({@link System.openCached}).
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { PROGRESS_NAME } from '../../oci/build-mounts.ts';
import { withSystemFd } from '../../sys/paths.ts';
import type { Fd, System } from '../../sys/system.ts';

/** Longer texts are cut. */
const MAX_BYTES = 4_096;
const LOOK_EVERY_MS = 1_000;

export class TaskProgress {
  readonly #system: System;
  #folder: Fd | undefined;
  #onText: ((text: string) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #text: string | null = null;
  /** The bytes that the last look found. */
  #bytes = Buffer.alloc(0);

  /** Opens the file's folder, which is mounted at this path of the host. The mount can be detached afterwards. */
  constructor(system: System, path: string) {
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
    this.#system = system;
    this.#folder = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  /** The text that the task last wrote; null if there is none yet. */
  get text(): string | null {
    return this.#text;
  }

  /** Looks once a second, and calls `onText` whenever the text has changed. */
  watch(onText: (text: string) => void): void {
    if (this.#folder === undefined) return;
    this.#onText = onText;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Looks a last time if `watch` was called, then closes. Call it when nobody writes any more. */
  finish(): void {
    this.#look();
    this.close();
  }

  /** A second call does nothing. */
  close(): void {
    clearInterval(this.#timer);
    if (this.#folder !== undefined) closeSync(this.#folder);
    this.#folder = undefined;
  }

  #look(): void {
    if (this.#folder === undefined || this.#onText === undefined) return;
    const bytes = readBytes(this.#system, this.#folder);
    if (bytes === undefined || bytes.equals(this.#bytes)) return;
    this.#bytes = Buffer.from(bytes);
    const text = toText(bytes);
    // A file without text may be about to be written.
    if (text === undefined || text === this.#text) return;
    this.#text = text;
    this.#onText(text);
  }
}

/** One byte more than the limit, to notice longer texts. All tasks share the buffer, because its use is synchronous. */
const buffer = Buffer.alloc(MAX_BYTES + 1);

/** The first bytes of the file, valid until the next call. Undefined if there is no file, or it cannot be read at this moment. */
function readBytes(system: System, folder: Fd): Buffer | undefined {
  try {
    const fd = system.openCached(folder, PROGRESS_NAME);
    if (fd === undefined) return undefined;
    return withSystemFd(system, fd, () => {
      // A folder or a named pipe can be opened, too.
      if (!fstatSync(fd).isFile()) return undefined;
      return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, 0));
    });
  } catch {
    // Running out of descriptors or memory must not end the task; the next look retries.
    return undefined;
  }
}

/** The text without blanks and NULs at its end. Invalid UTF-8, and NULs, which some databases refuse, become U+FFFD. Undefined if nothing is left. */
function toText(bytes: Uint8Array): string | undefined {
  let end = Math.min(bytes.length, MAX_BYTES);
  // The last character may have been cut.
  const stream = bytes.length > MAX_BYTES;
  while (end > 0 && isBlank(bytes[end - 1] ?? 0)) end -= 1;
  const text = new TextDecoder().decode(bytes.subarray(0, end), { stream });
  return text.replaceAll('\0', '\uFFFD') || undefined;
}

/** NUL, tab, line feed, vertical tab, form feed, carriage return, space. */
const isBlank = (byte: number) => byte === 0 || (byte >= 9 && byte <= 13) || byte === 32;
