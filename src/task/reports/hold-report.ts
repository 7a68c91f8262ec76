/** Keeps a report until a process that waits for the task's end has read it, although another process removes the report. */
import { unlessMissing } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { type FileLock, lockExistingFile } from '../../sys/lock.ts';
import type { System } from '../../sys/system.ts';
import { reportPlaces } from './report-places.ts';

const POLL_MS = 5;
/** Wait no longer: the waiting process may have been stopped. */
const READ_WITHIN_MS = 2_000;

/** Locks a report for reading; undefined if there is none, or if it is being removed. */
export const holdReport = (system: System, dir: string): FileLock | undefined =>
  lock(system, dir, { shared: true });

/** Resolves when nobody holds the report any more, at the latest after 2 s. */
export async function untilUnheld(system: System, dir: string): Promise<void> {
  const giveUpAt = performance.now() + READ_WITHIN_MS;
  for (;;) {
    const held = lock(system, dir, { shared: false });
    held?.release();
    if (held !== undefined || performance.now() > giveUpAt) return;
    await pause(POLL_MS);
  }
}

const lock = (system: System, dir: string, { shared }: { readonly shared: boolean }) =>
  unlessMissing(() =>
    lockExistingFile(system, reportPlaces(dir).taskFile, { wait: false, shared }),
  );
