/** Writes a small JSON file below the root folder. */

import { guardDisk } from '../sys/guard-disk.ts';
import { writeFileAtomic } from '../sys/write-file.ts';

/** Stores a value durably, as `readStoredJson` reads it. */
export const writeStoredJson = (path: string, value: object): Promise<void> =>
  guardDisk(`write ${path}`, () =>
    writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, { durable: true }),
  );
