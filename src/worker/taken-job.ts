/** The value that the intake hands to the runner of a job. */
import type { IQueueBackend, Job } from 'bullmq';
import type { Lane } from './job/lane.ts';

/** A job that this worker has taken. The worker holds the job's lock, and room for the job on this machine. */
export interface TakenJob {
  readonly lane: Lane;
  /** The id within the lane. */
  readonly id: string;
  /** The lock's token, random for each take. The store refuses changes with any other token. */
  readonly token: string;
  /** The job as the store holds it; `job.data` is unchecked. */
  readonly job: Job;
  readonly backend: IQueueBackend;
  /** When the request that took the job was sent, by the monotonic clock of `sys/clocks.ts`. */
  readonly sentAtMs: number;
  /** Room for the job's task on this machine. The intake gives it back when the job's handler settles. */
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
  /** Replaces the reservation by the job's real needs. Waits until there is room, unless the signal aborts. */
  resize(needs: Needs, signal: AbortSignal): Promise<void>;
}
