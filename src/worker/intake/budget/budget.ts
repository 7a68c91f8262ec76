/** The budget of this machine: what the tasks of jobs reserve of its memory, disk and processors, over all workers of the installation. */
import type { TenantName } from '../../../core/ids.ts';
import type { Needs } from '../../taken-job.ts';

export interface Budget {
  /** How much there is, reserved or not. The disk's part follows the free space. */
  total(): Needs;
  /** The most that there can ever be: with an empty disk. */
  possible(): Needs;
  /** What this worker has reserved. */
  reserved(): Needs;
  /** What is left for a job that has waited since `sinceMs` (default: since now). An estimate: another worker may be faster. */
  room(sinceMs?: number): Needs;
  /** Jobs of a tenant that other workers of this machine run. An estimate. */
  tasksOfOthers(tenant: TenantName): number;
  /** Undefined when there is no room now, or when the tenant has its maximum of tasks on this machine. */
  reserve(request: RoomRequest): Reservation | undefined;
  /** Keeps room free for a job that waits. Requests that came later do not get it. */
  claim(claim: { readonly needs: Needs; readonly sinceMs: number }): { drop(): void };
  /** Calls the listener whenever there may be more room. Returns a function that ends the calls. */
  watch(listener: () => void): () => void;
  /** A job waits for room: until the next call of the listeners, the budget looks for room that other processes give back. */
  expectRoom(): void;
  /** Gives everything back. */
  close(): void;
}

export interface RoomRequest {
  readonly needs: Needs;
  readonly tenant?: TenantName | undefined;
  /** Most tasks of the tenant on this machine. */
  readonly maxTasks?: number | undefined;
  /** Default: the request comes now. */
  readonly sinceMs?: number | undefined;
}

export interface Reservation {
  readonly needs: Needs;
  /** Returns false, and changes nothing, when there is no room. Always succeeds with smaller needs. */
  resize(needs: Needs, sinceMs?: number): boolean;
  /** A second call does nothing. */
  release(): void;
}
