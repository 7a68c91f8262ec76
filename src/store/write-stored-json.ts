/** Writes small JSON files below the root folder. */

import { guardDisk } from '../sys/guard-disk.ts';
import { writeFileAtomic } from '../sys/write-file.ts';

/** Stores a value durably, in the format that `readStoredJson` reads. */
export const writeStoredJson = (path: string, value: object): Promise<void> =>
  guardDisk(`write ${path}`, () =>
    writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, { durable: true }),
  );
