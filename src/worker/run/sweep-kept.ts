/** Removes logs and artefacts of jobs that the store has forgotten or no longer keeps. */
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tolerate } from '../../core/errors.ts';
import { LOG_SUFFIX } from '../job/kept-files.ts';
import { isJobId, type Lane, parseLaneName } from '../job/lane.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';

export interface SweepOptions {
  readonly store: Pick<QueueStore, 'backend'>;
  /** Folders with `<lane>/<id>` or `<lane>/<id>.ndjson`. Leaves everything else in them alone. */
  readonly folders: readonly string[];
  readonly keepResultsMs: number;
  readonly signal: AbortSignal;
}

/** Rejects with errors of the store or of a folder. The next sweep does the rest. */
export async function sweepKept(options: SweepOptions): Promise<void> {
  for (const folder of options.folders) {
    for (const name of await namesIn(folder)) {
      const lane = parseLaneName(name);
      if (lane !== undefined) await sweepLane(join(folder, name), lane, options);
    }
  }
}

async function sweepLane(folder: string, lane: Lane, options: SweepOptions): Promise<void> {
  const backend = options.store.backend(lane);
  for (const name of await namesIn(folder)) {
    if (options.signal.aborted) return;
    const id = name.endsWith(LOG_SUFFIX) ? name.slice(0, -LOG_SUFFIX.length) : name;
    if (!isJobId(id)) continue;
    const path = join(folder, name);
    const state = await backend.getState(id);
    const hasEnded = state === 'completed' || state === 'failed';
    const isOld = hasEnded && Date.now() - (await lstat(path)).mtimeMs > options.keepResultsMs;
    if (state === 'unknown' || isOld) await rm(path, { recursive: true, force: true });
  }
}

const namesIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder).catch(tolerate('ENOENT', 'ENOTDIR'))) ?? [];
