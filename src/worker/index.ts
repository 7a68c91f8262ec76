/** The queue worker and the client of its queues as a library: exports and nothing else. docs/worker.md describes them. */
export type {
  Artefact,
  FinalState,
  JobResult,
  JobState,
  JobStatus,
  LiveState,
} from './job/job-result.ts';
