/**
 * Reads what a task writes to the file named by TASK_PROGRESS_FILE. Loaded only for tasks that have the file.
 *
 * The file lies in a filesystem in memory of its own, which the task may treat as it likes. It is read through a descriptor of that
 * filesystem, which leads to no mount of the task. None of the calls can wait for the task, so they run on the event loop
 * ({@link System.openCached}).
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { PROGRESS_NAME } from '../../oci/build-mounts.ts';
import { withSystemFd } from '../../sys/paths.ts';
import type { Fd, System } from '../../sys/system.ts';

/** Longer texts are cut off. */
const MAX_BYTES = 4_096;
const LOOK_EVERY_MS = 1_000;

export class TaskProgress {
  readonly #system: System;
  #folder: Fd | undefined;
  #onText: ((text: string) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #text: string | null = null;
  /** What the last look found. */
  #bytes = Buffer.alloc(0);

  /** Opens the folder of the file, which is mounted at this path of the host; the mount can be detached afterwards. */
  constructor(system: System, path: string) {
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
    this.#system = system;
    this.#folder = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  /** What the task last wrote; null: nothing yet. */
  get text(): string | null {
    return this.#text;
  }

  /** Calls `onText` whenever a look finds another text; looks once a second. */
  watch(onText: (text: string) => void): void {
    if (this.#folder === undefined) return;
    this.#onText = onText;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Looks a last time, if it was watched, when nobody writes any more; then closes. */
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
    // A text without characters may be about to be written.
    if (text === undefined || text === this.#text) return;
    this.#text = text;
    this.#onText(text);
  }
}

/** One byte more than counts, to tell whether there is more. Shared by all tasks, because nothing else happens while it is in use. */
const buffer = Buffer.alloc(MAX_BYTES + 1);

/** Valid until the next call. Undefined if there is no file, or it cannot be read at this moment. */
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

/**
 * Without the blanks and NULs at its end. Bytes that are not valid UTF-8, and NULs, which some databases refuse, become U+FFFD. Undefined if
 * nothing is left.
 */
function toText(bytes: Uint8Array): string | undefined {
  let end = Math.min(bytes.length, MAX_BYTES);
  // The last character may have been cut off.
  const stream = bytes.length > MAX_BYTES;
  while (end > 0 && isBlank(bytes[end - 1] ?? 0)) end -= 1;
  const text = new TextDecoder().decode(bytes.subarray(0, end), { stream });
  return text.replaceAll('\0', '\uFFFD') || undefined;
}

/** NUL, tab, line feed, vertical tab, form feed, carriage return, space. */
const isBlank = (byte: number) => byte === 0 || (byte >= 9 && byte <= 13) || byte === 32;
