/** The kernel's files in a cgroup's folder: counters, and the limit of sockets. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';

/** Returns what `ask` returns; undefined if the cgroup or its file does not exist. For cgroups that may be removed at any moment. */
export function unlessGone<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    const code = errnoCodeOf(error);
    // ENODEV: it was removed between the open and the call.
    if (code === 'ENOENT' || code === 'ENODEV') return undefined;
    throw error;
  }
}

/** Reads counter files, and remembers which files this kernel does not have. */
export class CounterReader {
  readonly #absent = new Set<string>();

  /** The text of `directory/file`; null when the cgroup has no such file or is gone. */
  read(directory: string | undefined, file: string): string | null {
    if (directory === undefined || this.#absent.has(file)) return null;
    try {
      return readFileSync(`${directory}/${file}`, 'utf8');
    } catch (error) {
      const code = errnoCodeOf(error);
      // ENODEV: the cgroup was removed between the open and the read.
      if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
      if (code === 'ENOENT' && existsSync(directory)) this.#absent.add(file);
      return null;
    }
  }

  /** The only number in a file. */
  readNumber(directory: string | undefined, file: string): number | null {
    return parseCount(this.read(directory, file)?.trim());
  }
}

/** A decimal count of at most 64 bits as a number; null for anything else (`max`, a missing value). */
export function parseCount(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,20}$/.test(text) ? Number(text) : null;
}

/** The number after `key` in a file of `key value` lines; null when there is none. */
export function parseKeyed(text: string | null, key: string): number | null {
  for (const line of text?.split('\n') ?? []) {
    if (line.startsWith(`${key} `)) return parseCount(line.slice(key.length + 1));
  }
  return null;
}

/** A count converted to another unit; null stays null. */
export function scaleCount(count: number | null, divisor: number): number | null {
  return count === null ? null : count / divisor;
}

/** Named after TCP, but the kernel charges UDP sockets to it as well. The kernel counts nothing until it is set. */
export const SOCKET_LIMIT_FILE = 'memory.kmem.tcp.limit_in_bytes';

/** `directory` is in the memory hierarchy; undefined if there is none. */
export function limitSockets(directory: string | undefined, bytes: number): void {
  if (directory === undefined) return;
  try {
    writeFileSync(`${directory}/${SOCKET_LIMIT_FILE}`, String(bytes), { flag: 'r+' });
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOENT') throw error;
  }
}
