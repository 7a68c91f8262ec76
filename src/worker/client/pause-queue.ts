/**
 * Pauses and resumes the lanes of a queue, including lanes that begin later. A mark records that a queue or a tenant is paused; this client checks
 * the mark before it adds a job. A store forgets lanes without jobs, so that a resume does not reach them.
 */

import type { TenantName } from '../../core/ids.ts';
import { atMost } from '../../core/pause.ts';
import type { Lane } from '../job/lane.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';

/** Set on the lane without tenant and code: the whole queue is paused. */
export const QUEUE_MARK = 'stackshim:queue-paused';
/** Set on the tenant's lane without code: the tenant's jobs are paused. */
export const TENANT_MARK = 'stackshim:tenant-paused';
/** Set on any lane: the lane was paused because of one of these marks, not by another program. */
export const OWN_MARK = 'stackshim:lane-paused';
/** BullMQ's own mark of a paused lane. */
export const PAUSED = 'paused';

const AT_ONCE = 64;

/** Lists the lanes of a queue, or of one tenant in it. */
export async function findLanes(
  store: QueueStore,
  queue: string,
  tenant: string | undefined,
): Promise<readonly Lane[]> {
  const lanes = await store.listLanes(queue);
  return tenant === undefined ? lanes : lanes.filter((lane) => lane.tenant === tenant);
}

/** Pauses or resumes one tenant of the queue, or with `tenant` undefined the whole queue. */
export async function setPaused(
  store: QueueStore,
  queue: string,
  tenant: TenantName | undefined,
  isPaused: boolean,
): Promise<void> {
  const marked = store.backend({ queue, tenant, code: undefined });
  const mark = tenant === undefined ? QUEUE_MARK : TENANT_MARK;
  // The mark comes first: a lane that begins meanwhile is then paused by its producer, or found below.
  if (isPaused) await marked.setQueueMeta({ [mark]: 1 });
  else await marked.removeQueueMetaFields([mark]);
  const inTurn = atMost(AT_ONCE);
  const lanes = await findLanes(store, queue, tenant);
  await Promise.all(lanes.map((lane) => inTurn(() => followMarks(store, lane))));
}

/** Pauses a lane whose queue or tenant is marked, and resumes a lane that was paused for a mark which is gone. */
export async function followMarks(store: QueueStore, lane: Lane): Promise<void> {
  const { queue, tenant } = lane;
  const fieldsOf = (one: Lane, fields: string[]) => store.backend(one).getQueueMetaFields(fields);
  const [[ofQueue], [ofTenant], [paused, own]] = await Promise.all([
    fieldsOf({ queue, tenant: undefined, code: undefined }, [QUEUE_MARK]),
    fieldsOf({ queue, tenant, code: undefined }, [TENANT_MARK]),
    fieldsOf(lane, [PAUSED, OWN_MARK]),
  ]);
  const shouldPause = isSet(ofQueue) || isSet(ofTenant);
  if (shouldPause && !isSet(paused)) {
    await store.backend(lane).setQueueMeta({ [OWN_MARK]: 1 });
    await store.backend(lane).pause(true);
  } else if (!shouldPause && isSet(own)) {
    await store.backend(lane).pause(false);
    await store.backend(lane).removeQueueMetaFields([OWN_MARK]);
    await store.ring(lane);
  }
}

const isSet = (field: string | null | undefined): boolean => field !== null && field !== undefined;
