/** A store with labs on it, for the tests of one file, and what these tests do to jobs. */
import { afterEach } from 'vitest';
import type { RunOptions } from '../../support/installation/test-layout.ts';
import { type StoreBed, type StoreServer, useStore } from '../../support/stores/store-server.ts';
import { JobLab, type JobLabOptions } from './job-lab.ts';

export const LOCK_MS = 30_000;

export interface JobLabs<S> extends StoreBed<S> {
  /** The lab is closed after the test. */
  openLab(more?: Partial<JobLabOptions>): JobLab;
}

/** Registers the hooks of a describe. */
export function useJobLabs<S extends Pick<StoreServer, 'url' | 'remove'>>(
  startServer: () => Promise<S>,
  installation: RunOptions,
): JobLabs<S> {
  const bed = useStore(startServer, { lockMs: LOCK_MS, stalledLookMs: LOCK_MS });
  let labs: JobLab[] = [];
  afterEach(() => {
    for (const lab of labs) lab.close();
    labs = [];
  });
  return Object.assign(bed, {
    openLab(more: Partial<JobLabOptions> = {}): JobLab {
      const lab = new JobLab({ installation, store: bed.store, lockMs: LOCK_MS, ...more });
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
