/** How a worker is that works. */
import type { WorkerStatus } from '../../../src/worker/worker-events.ts';

export const workerStatus: WorkerStatus = {
  store: 'redis://127.0.0.1:6379/0',
  queues: ['mail'],
  concurrency: 2,
  running: 1,
  lanes: 3,
  isTaking: true,
  isStoreReachable: true,
  isGuardAlive: true,
  budget: {
    reserved: { memoryBytes: 1, diskBytes: 2, cpus: 1 },
    total: { memoryBytes: 10, diskBytes: 20, cpus: 2 },
  },
  lastRenewalAt: '2026-01-01T00:00:00.000Z',
};
