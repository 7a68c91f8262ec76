/** New workers take the place of old ones while jobs come in: no job is handed back or run again, and none is lost. */
import { afterEach, expect, it } from 'vitest';
import { useInstallation } from '../support/installation/installation.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { FaultScene } from './support/fault-scene.ts';
import { STORE_KINDS, startFaultStore } from './support/fault-stores.ts';

const installation = useInstallation([/^file \S+\/workers\//]);
const JOBS = isFullRun ? 500 : 150;

let scene: FaultScene | undefined;
afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

it.each(STORE_KINDS)(
  'an upgrade under load ends nothing: %s',
  { timeout: scaled(300_000) },
  async (kind) => {
    const store = await startFaultStore(kind);
    scene = await FaultScene.open({ installation, store, count: JOBS });
    const { jobs, pair } = scene;
    for (const place of [0, 1, 0] as const) {
      await scene.long();
      await pair.upgrade(place);
    }
    const all = await scene.allOver();
    await pair.drain();
    const ends = all.map(({ result }) => `${result?.state} ${result?.attempt}`);
    expect(new Set(ends)).toEqual(new Set(['complete 1']));
    expect(jobs.numbersOf('begin')).toHaveLength(all.length);
    expect(jobs.numbersOf('end')).toHaveLength(all.length);
    expect(pair.count('job_handed_back')).toBe(0);
  },
);
