/** Writes small JSON files below the root folder. */
import { guardDisk } from '../sys/guard-disk.ts';
import { writeFileAtomic } from '../sys/write-file.ts';
import { FORMAT_VERSION } from './stored-json.ts';

/** Stores a value and the format version durably, for `readStoredJson`. */
export const writeStoredJson = (path: string, value: object): Promise<void> =>
  guardDisk(`write ${path}`, () => {
    const text = `${JSON.stringify({ version: FORMAT_VERSION, ...value }, null, 2)}\n`;
    return writeFileAtomic(path, text, { durable: true });
  });
