/** Reads a running task's time limit, so that other processes can enforce it while the task's owner cannot. */
import { errnoCodeOf, isUsedUp, StackshimError } from '../../core/errors.ts';
import { integer, objectOf, oneOf, optional, positive, readWith } from '../../core/read-fields.ts';
import { readBoundedFile } from '../../sys/files.ts';
import { TIME_LIMIT_VERSION, type TimeLimit } from './record.ts';
import type { TaskPlaces } from './task-places.ts';

const MAX_BYTES = 1_024;

/** Version 1 lacks the optional fields. */
const timeLimit = objectOf<TimeLimit & { readonly version: 1 | typeof TIME_LIMIT_VERSION }>({
  version: oneOf(1, TIME_LIMIT_VERSION),
  endsAtMs: integer(0),
  graceMs: integer(0),
  begunAtMs: optional(integer(0)),
  deadlineMs: optional(integer(0)),
  timeoutMs: optional(integer(1)),
  memoryBytes: optional(integer(0)),
  cpus: optional(positive),
});

/** Undefined if the task has not begun or is gone, or if the file is still being written. Throws ERR_STACKSHIM_RECORD_CORRUPT if unreadable. */
export function readTimeLimit({ limitFile }: Pick<TaskPlaces, 'limitFile'>): TimeLimit | undefined {
  try {
    const text = readBoundedFile(limitFile, { maxBytes: MAX_BYTES });
    return text === '' ? undefined : readWith(timeLimit, JSON.parse(text), (fault) => fault);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    if (isUsedUp(error)) throw error;
    const message = `read ${limitFile}: not a time limit`;
    const details = { path: limitFile };
    throw new StackshimError('ERR_STACKSHIM_RECORD_CORRUPT', message, { cause: error, details });
  }
}
