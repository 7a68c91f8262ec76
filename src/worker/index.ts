/** The library of the queue worker and its client: exports and nothing else. docs/worker.md describes them. */
export { openQueues } from './client/open-queues.ts';
export type {
  BindOption,
  CancelOptions,
  EnqueuedJob,
  EnqueueOptions,
  JobLogOptions,
  JobLogPiece,
  JobRequest,
  LaneSummary,
  Queues,
  QueuesOptions,
  Schedule,
  ScheduleOptions,
  ScheduleTimes,
  TakenArtefact,
  TenantOption,
  WaitForJobOptions,
} from './client/queues.ts';
export { createWorker, type DrainOptions, type QueueWorker } from './create-worker.ts';
export type { CancelMark, JobData } from './job/job-data.ts';
export type {
  Artefact,
  FinalState,
  JobResult,
  JobState,
  JobStatus,
  LiveState,
  WaitState,
} from './job/job-result.ts';
export type { WorkerRegistry } from './supply/registry-places.ts';
export type { WorkerEvent, WorkerStatus } from './worker-events.ts';
export type { FieldsOfWorker, RunningJob, WorkerOptions } from './worker-options.ts';
