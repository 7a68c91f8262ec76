/** Looks for jobs whose worker has died: their locks have expired. They wait again, or are ended by whoever takes them too often. */
import { atMost } from '../../core/pause.ts';
import type { Lane } from '../job/lane.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';

export interface StalledLookOptions {
  readonly store: QueueStore;
  readonly queues: readonly string[];
  /** Whether this worker takes or runs jobs of the lane. */
  readonly isHeld: (lane: Lane) => boolean;
  readonly onError: (error: unknown, lane: Lane | undefined) => void;
}

const AT_ONCE = 8;

/** Every worker may do this at any time: a second look within the store's interval does nothing. Never rejects. */
export async function lookForStalled(options: StalledLookOptions): Promise<void> {
  const { store, queues, onError } = options;
  try {
    const lanes = await store.listActive(queues);
    const turn = atMost(AT_ONCE);
    await Promise.all(lanes.map((lane) => turn(() => lookAt(lane, options))));
  } catch (error) {
    onError(error, undefined);
  }
}

async function lookAt(lane: Lane, { store, isHeld, onError }: StalledLookOptions): Promise<void> {
  try {
    const backend = store.backend(lane);
    const moved = await backend.moveStalledJobsToWait();
    if (moved.length > 0) await store.ring(lane);
    if (isHeld(lane)) return;
    const [active] = await backend.getCounts(['active']);
    if (active === 0) await store.forgetActive(lane);
  } catch (error) {
    onError(error, lane);
  }
}
