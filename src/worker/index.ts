/** The queue worker and the client of its queues as a library: exports and nothing else. docs/worker.md describes them. */
export { createWorker, type DrainOptions, type QueueWorker } from './create-worker.ts';
export type {
  Artefact,
  FinalState,
  JobResult,
  JobState,
  JobStatus,
  LiveState,
} from './job/job-result.ts';
export type { WorkerEvent, WorkerStatus } from './worker-events.ts';
export type { WorkerOptions } from './worker-options.ts';
