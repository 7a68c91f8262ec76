/** The locks of running jobs: renewed in time, and what happens to a job whose lock is lost or whose worker drains. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openDoor } from '../../src/door/open-stackshim.ts';
import type { TaskEvent } from '../../src/index.ts';
import { openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { JobLab } from './support/job-lab.ts';
import { type JobStore, STORE_KINDS, startJobStore } from './support/job-stores.ts';

/** A server begins processes of its own as it needs them. */
const { options } = useInstallation([/^process \d+ postgres /]);
/** A busy machine must have time to renew it. */
const LOCK_MS = scaled(3_000);
/** Too long for a renewal within a test. */
const LONG_LOCK_MS = 60_000;
let server: JobStore;
let store: QueueStore;
let labs: JobLab[] = [];

afterEach(() => {
  for (const lab of labs) lab.close();
  labs = [];
});

/** @param seen Gets the events of the lab's tasks. */
function openLab(seen: TaskEvent[] = [], lockMs: number = LOCK_MS): JobLab {
  const door = openDoor(options);
  const run: typeof door.run = (input, given) =>
    door.run(input, {
      ...given,
      onEvent(event) {
        if (event.type !== 'output') seen.push(event);
        return given?.onEvent?.(event);
      },
    });
  const context = { door: { ...door, run } };
  const lab = new JobLab({ installation: options, store, lockMs, context });
  labs.push(lab);
  return lab;
}

const FOREVER = 'while :; do sleep 0.05; done';
const sh = (script: string, more: object = {}) => ({
  version: 1,
  stack: 'busybox',
  command: ['sh', '-c', script],
  ...more,
});
const typesOf = (lab: JobLab) => lab.events.map(({ type }) => type);
const hasBegun =
  (seen: readonly TaskEvent[], times = 1) =>
  () =>
    seen.filter(({ type }) => type === 'started').length >= times;
const stateOf = (lab: JobLab, id: string) => lab.backend.getState(id);

describe.each(STORE_KINDS)('on %s', (kind) => {
  beforeAll(async () => {
    server = await startJobStore(kind);
    store = await openStore(server.url, { lockMs: LOCK_MS, stalledLookMs: 1 });
  });
  afterAll(async () => {
    await store.close();
    await server.remove();
  });
  it('a task that takes longer than its lock completes its job', async () => {
    const lab = openLab();
    const id = await lab.add(sh(`sleep ${(LOCK_MS * 1.5) / 1_000}`));
    let hasEnded = false;
    const running = lab.runNext().then(() => {
      hasEnded = true;
    });
    const stalled: string[] = [];
    await waitUntil(async () => {
      stalled.push(...(await lab.backend.moveStalledJobsToWait()));
      return hasEnded;
    });
    await running;
    expect(stalled).toEqual([]);
    expect((await lab.read(id)).result?.state).toBe('complete');
    expect(lab.runner.lastRenewalAt).not.toBeNull();
  });

  it('a store that does not answer does not keep a task alive, and the job runs again', async () => {
    const seen: TaskEvent[] = [];
    const lab = openLab(seen);
    const id = await lab.add(sh(FOREVER));
    const running = lab.runNext();
    await waitUntil(hasBegun(seen));
    await server.freeze();
    try {
      await waitUntil(() => seen.some(({ type }) => type === 'removed'));
    } finally {
      server.thaw();
    }
    await running;
    expect(typesOf(lab)).toContain('lock_lost');
    expect((await lab.read(id)).attempts).toEqual([]);
    await waitUntil(async () => {
      await lab.backend.moveStalledJobsToWait();
      return (await stateOf(lab, id)) === 'waiting';
    });
  });

  it('a task whose lock another worker has is killed at once', async () => {
    const seen: TaskEvent[] = [];
    const lab = openLab(seen);
    const id = await lab.add(sh(`trap : TERM; ${FOREVER}`, { stopTimeout: '1h' }));
    const running = lab.runNext();
    await waitUntil(hasBegun(seen));
    await server.stealLock(lab.lane, id);
    await running;
    expect(typesOf(lab)).toEqual(['job_taken', 'lock_lost']);
    expect(await stateOf(lab, id)).toBe('active');
  });

  it('a result that comes late changes nothing', async () => {
    const seen: TaskEvent[] = [];
    const lab = openLab(seen, LONG_LOCK_MS);
    const id = await lab.add(sh('true'));
    const taken = await lab.take();
    if (taken === undefined) throw new Error('nothing taken');
    await server.stealLock(lab.lane, id);
    await lab.runner.handle(taken);
    expect(typesOf(lab)).toEqual(['job_taken', 'lock_lost']);
    expect(await stateOf(lab, id)).toBe('active');
    expect(seen.at(-1)).toMatchObject({ type: 'finished', result: { verdict: 'succeeded' } });
  });

  it('a job that is gone is let go', async () => {
    const lab = openLab([], LONG_LOCK_MS);
    await lab.add(sh('true'));
    const taken = await lab.take();
    if (taken === undefined) throw new Error('nothing taken');
    await server.clear();
    await lab.runner.handle(taken);
    expect(typesOf(lab)).toEqual(['job_taken', 'lock_lost']);
  });

  it('a job that was taken too long ago is not started', async () => {
    const seen: TaskEvent[] = [];
    const lab = openLab(seen);
    const id = await lab.add(sh('true'));
    const taken = await lab.take();
    if (taken === undefined) throw new Error('nothing taken');
    await lab.runner.handle({ ...taken, sentAtMs: taken.sentAtMs - LOCK_MS * 0.6 });
    expect(seen).toEqual([]);
    expect(lab.events).toMatchObject([
      { type: 'job_handed_back', reason: 'the reply was too old' },
    ]);
    expect(await stateOf(lab, id)).toBe('waiting');
  });

  it('a job that comes back waits until its old task is dead', async () => {
    const seen: TaskEvent[] = [];
    const lab = openLab(seen);
    const id = await lab.add(sh(FOREVER));
    const first = lab.runNext();
    await waitUntil(hasBegun(seen));
    await server.bringBack(lab.lane, id);
    const second = lab.runNext();
    await first;
    await waitUntil(hasBegun(seen, 2));
    const [one, other] = [...new Set(seen.map(({ id: task }) => task))];
    const order = seen
      .filter(({ type }) => type === 'accepted' || type === 'removed')
      .map(({ type, id: task }) => `${type} ${task}`);
    expect(order).toEqual([`accepted ${one}`, `removed ${one}`, `accepted ${other}`]);
    lab.runner.drain();
    await second;
  });

  describe('a worker that drains', () => {
    it('hands jobs back whose tasks have not ended, without using up an attempt', async () => {
      const seen: TaskEvent[] = [];
      const lab = openLab(seen);
      const id = await lab.add(sh(`trap 'exit 0' TERM; ${FOREVER}`));
      const running = lab.runNext();
      await waitUntil(hasBegun(seen));
      lab.runner.drain();
      await running;
      expect(lab.events.at(-1)).toMatchObject({
        type: 'job_handed_back',
        job: `${lab.lane.queue}~~~${id}`,
      });
      expect(lab.events.filter(({ type }) => type === 'job_handed_back')).toHaveLength(1);
      expect(await stateOf(lab, id)).toBe('waiting');
      expect(await lab.read(id)).toMatchObject({ attemptsMade: 0, attempts: [] });
    });

    it('kills tasks that do not act on their stop signal', async () => {
      const seen: TaskEvent[] = [];
      const lab = openLab(seen);
      const id = await lab.add(sh(`trap : TERM; ${FOREVER}`, { stopTimeout: '1h' }));
      const running = lab.runNext();
      await waitUntil(hasBegun(seen));
      lab.runner.drain();
      await waitUntil(() => seen.some(({ type }) => type === 'stopping'));
      lab.runner.hasten();
      await running;
      expect(await stateOf(lab, id)).toBe('waiting');
    });

    it('hands jobs back that it takes meanwhile', async () => {
      const lab = openLab();
      const id = await lab.add(sh('true'));
      lab.runner.drain();
      await lab.runNext();
      expect(await stateOf(lab, id)).toBe('waiting');
      expect(typesOf(lab)).toEqual(['job_taken', 'job_handed_back']);
    });
  });
});
