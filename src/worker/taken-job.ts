/** What the intake hands to whoever runs a job. */
import type { IQueueBackend, Job } from 'bullmq';
import type { Lane } from './job/lane.ts';

/** A job that this worker has taken: it holds the job's lock, and room for the job on this machine. */
export interface TakenJob {
  readonly lane: Lane;
  /** The id within the lane. */
  readonly id: string;
  /** The lock's token: random for each take. The store refuses every change with another token. */
  readonly token: string;
  /** As the store holds it; `job.data` is not checked. */
  readonly job: Job;
  readonly backend: IQueueBackend;
  /** When the request that took the job was sent, by the monotonic clock of `sys/clocks.ts`. */
  readonly sentAtMs: number;
  /** Room for the job's task on this machine; the intake gives it back when the job's handler settles. */
  readonly room: Room;
}

/** What a task reserves on its machine. */
export interface Needs {
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly cpus: number;
}

export interface Room {
  readonly needs: Needs;
  /** Takes what the job really needs in place of what was reserved for it. Waits until it is there, unless the signal aborts. */
  resize(needs: Needs, signal: AbortSignal): Promise<void>;
}
