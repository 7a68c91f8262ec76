/** The caps of lanes with code: the package's `maxConcurrency` in the catalogue becomes the lane's concurrency over all workers, in the store. */
import { type Lane, laneName } from '../../job/lane.ts';
import { codeKey } from '../../queue-store/catalogue-keys.ts';
import type { QueueStore } from '../../queue-store/queue-store.ts';
import type { IntakeClock } from '../intake-options.ts';

/** The cap of a new revision takes effect within this time. */
const CAP_AGE_MS = 120_000;

/** Returns a function that sets a lane's cap in the store, unless it was set within the last two minutes. */
export function laneCaps(store: QueueStore, { monotonicMs }: Pick<IntakeClock, 'monotonicMs'>) {
  const setAtMs = new Map<string, number>();
  return async (lane: Lane): Promise<void> => {
    if (lane.code === undefined) return;
    const name = laneName(lane);
    const now = monotonicMs();
    if (now - (setAtMs.get(name) ?? Number.NEGATIVE_INFINITY) < CAP_AGE_MS) return;
    await setCap(store, lane);
    // The map is ordered by time. Expired entries go, because anyone may announce thousands of lanes.
    for (const [other, at] of setAtMs) {
      if (now - at < CAP_AGE_MS) break;
      setAtMs.delete(other);
    }
    setAtMs.delete(name);
    setAtMs.set(name, now);
  };
}

/** Keeps the cap of a package that is not in the catalogue: no worker has published it yet. */
async function setCap(store: QueueStore, lane: Lane): Promise<void> {
  const [entry] = await store.catalogue.get([codeKey(lane.tenant, lane.code ?? '')]);
  if (entry === undefined) return;
  const backend = store.backend(lane);
  const cap = entry.maxConcurrency === undefined ? null : String(entry.maxConcurrency);
  if ((await backend.getQueueMetaField('concurrency')) === cap) return;
  if (cap === null) await backend.removeQueueMetaFields(['concurrency']);
  else await backend.setQueueMeta({ concurrency: cap });
}
