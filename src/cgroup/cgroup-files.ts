/** Reads the kernel's counter files of a cgroup. */
import { existsSync, readFileSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';

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
