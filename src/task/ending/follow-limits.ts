/**
 * Polls for changes that other processes make to the time limits of this process's running tasks (`live/update-task.ts`), because nobody
 * sends this process a message. One timer serves all tasks. Loaded only by tasks that run for a second, or until their time is over.
 */
import { statSync } from 'node:fs';
import { readTimeLimit } from '../records/read-time-limit.ts';
import type { TimeLimit } from '../records/record.ts';
import type { TaskPlaces } from '../records/task-places.ts';

/** A changed limit takes effect within this time. */
const LOOK_EVERY_MS = 1_000;

interface Followed {
  readonly places: TaskPlaces;
  readonly onLimit: (limit: TimeLimit) => void;
  /** Identifies the file that was read last. */
  version: string | undefined;
}

const followed = new Set<Followed>();
let timer: NodeJS.Timeout | undefined;

/** Calls `onLimit` at once with the stored limit, and again after each change. Returns a function that ends this. */
export function followLimit(places: TaskPlaces, onLimit: Followed['onLimit']): () => void {
  const one: Followed = { places, onLimit, version: undefined };
  followed.add(one);
  timer ??= setInterval(() => {
    for (const each of followed) lookAt(each);
  }, LOOK_EVERY_MS);
  lookAt(one);
  return () => {
    followed.delete(one);
    if (followed.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function lookAt(one: Followed): void {
  let limit: TimeLimit | undefined;
  try {
    const { ino, mtimeMs } = statSync(one.places.limitFile);
    const version = `${ino}-${mtimeMs}`;
    if (version === one.version) return;
    limit = readTimeLimit(one.places);
    if (limit === undefined) return;
    one.version = version;
  } catch {
    // The file is gone, or descriptors ran out: the known limit holds.
    return;
  }
  one.onLimit(limit);
}
