/**
 * Delivery of jobs while workers and stores fail: each job has one final state, none is lost, no two runs of a job are alive at once, and
 * nothing of the tasks is left.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { useInstallation } from '../support/installation/installation.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { FaultScene } from './support/fault-scene.ts';
import { STORE_KINDS, startFaultStore, startLossyStore } from './support/fault-stores.ts';

const installation = useInstallation([/^file \S+\/workers\//]);
const timeout = scaled(isFullRun ? 900_000 : 240_000);
const JOBS = isFullRun ? 2_000 : 180;
const JOBS_OF_LOSSY = isFullRun ? 600 : 120;
/** Jobs between two faults. */
const MANY = isFullRun ? 100 : 10;

let scene: FaultScene | undefined;
afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

describe.each(STORE_KINDS)('on %s', (kind) => {
  it(`${JOBS} jobs and more survive kills, freezes, restarts and wrong clocks`, {
    timeout,
  }, async () => {
    const store = await startFaultStore(kind);
    scene = await FaultScene.open({ installation, store, count: JOBS });
    const { jobs, pair } = scene;
    await scene.more(MANY);
    await scene.killWorker();
    await scene.more(MANY);
    await scene.freezeWorker();
    await store.restart();
    await scene.more(MANY);
    await store.crash();
    await scene.more(MANY);
    await scene.freezeStore();
    await scene.more(MANY);
    pair.shiftClocks();
    if (kind === 'postgres') await pair.warned('clock_skew');
    await scene.more(MANY);
    pair.shiftClocks();
    await scene.killBoth();
    const all = await scene.allOver();
    await pair.drain();
    expect(new Set(all.map(({ job }) => job)).size).toBe(all.length);
    expect(all.filter(({ result }) => result?.state !== 'complete')).toEqual([]);
    expect(new Set(jobs.numbersOf('end')).size).toBe(all.length);
    expect(jobs.numbersOf('overlap')).toEqual([]);
    expect([...pair.ends()].filter(([, times]) => times > 1)).toEqual([]);
  });

  it(`${JOBS_OF_LOSSY} jobs and more survive a store that loses its last second`, {
    timeout,
  }, async () => {
    const store = await startLossyStore(kind);
    scene = await FaultScene.open({ installation, store, count: JOBS_OF_LOSSY });
    const { jobs, pair } = scene;
    await scene.more(MANY);
    await store.lose(() => jobs.moreBegun(4));
    await scene.more(MANY);
    await scene.loseTakes(store);
    await scene.more(MANY);
    await store.failOver?.();
    const all = await scene.allOver();
    await pair.drain();
    expect(all.filter(({ result }) => result?.state !== 'complete')).toEqual([]);
    expect(new Set(jobs.numbersOf('end')).size).toBe(all.length);
    expect(jobs.numbersOf('overlap')).toEqual([]);
  });
});
