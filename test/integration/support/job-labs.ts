/** A store with labs on it, for the tests of one file, and what these tests do to jobs. */
import { afterAll, afterEach, beforeAll } from 'vitest';
import { openStore } from '../../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../../src/worker/queue-store/queue-store.ts';
import type { RunOptions } from '../../support/installation/test-layout.ts';
import { JobLab, type JobLabOptions } from './job-lab.ts';
import { type JobStore, type STORE_KINDS, startJobStore } from './job-stores.ts';

const LOCK_MS = 30_000;

export interface JobLabs {
  /** Is there while tests run. */
  readonly server: JobStore;
  /** The lab is closed after the test. */
  openLab(more?: Partial<JobLabOptions>): JobLab;
}

export function useJobLabs(kind: (typeof STORE_KINDS)[number], installation: RunOptions): JobLabs {
  const made = {} as { server: JobStore };
  let store: QueueStore;
  let labs: JobLab[] = [];
  beforeAll(async () => {
    made.server = await startJobStore(kind);
    store = await openStore(made.server.url, { lockMs: LOCK_MS, stalledLookMs: LOCK_MS });
  });
  afterEach(() => {
    for (const lab of labs) lab.close();
    labs = [];
  });
  afterAll(async () => {
    await store.close();
    await made.server.remove();
  });
  return Object.assign(made, {
    openLab(more: Partial<JobLabOptions> = {}): JobLab {
      const lab = new JobLab({ installation, store, lockMs: LOCK_MS, ...more });
      labs.push(lab);
      return lab;
    },
  });
}

export const sh = (script: string, more: object = {}) => ({
  version: 1,
  stack: 'busybox',
  command: ['sh', '-c', script],
  ...more,
});

/** As a client does it: the durable mark, then the message. */
export async function cancel(lab: JobLab, id: string, by?: string): Promise<void> {
  await mark(lab, id, by);
  lab.runner.onCancel({ lane: lab.lane, id });
}

export async function mark(lab: JobLab, id: string, by?: string): Promise<void> {
  const { data } = await lab.read(id);
  const cancelled = { at: new Date().toISOString(), ...(by === undefined ? {} : { by }) };
  await lab.backend.updateData({ id } as never, { ...JSON.parse(String(data)), cancelled });
}
