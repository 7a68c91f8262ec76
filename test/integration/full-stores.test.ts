/** Stores and folders without room, and stores that hostile producers hold up: no job is lost, and work goes on when it can. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useInstallation } from '../support/installation/installation.ts';
import { startPostgres } from '../support/stores/start-postgres.ts';
import { startRedis } from '../support/stores/start-redis.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import type { JobLab } from './support/job-lab.ts';
import { cancel, LOCK_MS, sh, useJobLabs } from './support/job-labs.ts';

const { options } = useInstallation([/^process \d+ postgres /]);
const FULL = { code: 'ERR_STACKSHIM_STORE_FULL', kind: 'exhausted' };

async function takeFrom(lab: JobLab) {
  const taken = await lab.take();
  if (taken === undefined) throw new Error('nothing taken');
  return taken;
}

describe('a Redis whose memory is full', () => {
  const bed = useJobLabs(() => startRedis(), options);
  const limit = (bytes: number) => bed.server.command('CONFIG', 'SET', 'maxmemory', bytes);

  it('renews the locks of running jobs, and of no others', async () => {
    const lab = bed.openLab();
    const [one, other] = [await lab.add(sh('true')), await lab.add(sh('true'))];
    const taken = [await takeFrom(lab), await takeFrom(lab)];
    const lock = (id: string) => `stackshim:${lab.lane.queue}~~:${id}:lock`;
    for (const id of [one, other]) await bed.server.command('PEXPIRE', lock(id), 20_000);
    await limit(1);
    const tokens = [taken[0]?.token ?? '', 'of another worker'];
    expect(await lab.backend.extendLocks([one, other], tokens, 600_000)).toEqual([other]);
    expect(Number(await bed.server.command('PTTL', lock(one)))).toBeGreaterThan(500_000);
    expect(Number(await bed.server.command('PTTL', lock(other)))).toBeLessThan(20_001);
    await limit(0);
  });

  it('ends jobs, takes and adds none, and says why; then goes on', async () => {
    const lab = bed.openLab();
    const [first] = [await lab.add(sh('echo out; exit 1')), await lab.add(sh('true'))];
    const taken = await takeFrom(lab);
    await limit(1);
    await lab.runner.handle(taken);
    expect(await lab.read(first)).toMatchObject({ result: { state: 'error' } });
    expect(lab.warnings).toMatchObject([FULL]);
    await expect(lab.take()).rejects.toMatchObject(FULL);
    await expect(lab.add(sh('true'))).rejects.toMatchObject(FULL);
    await expect(bed.store.announce(lab.lane, () => Promise.resolve())).rejects.toMatchObject(FULL);
    await limit(0);
    await lab.runNext();
    expect(lab.events.at(-1)).toMatchObject({ type: 'job_ended', state: 'complete' });
  });
});

describe('folders without room', () => {
  let folder: string;
  const bed = useJobLabs(() => startRedis(), options);
  beforeAll(() => {
    folder = mkdtempSync('/var/tmp/stackshim-small-');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300k,mode=700', 'none', folder]);
  });
  afterAll(() => {
    execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true });
  });

  it('a job whose artefacts do not fit runs again when there is room', async () => {
    const lab = bed.openLab({ context: { artefactFolder: folder } });
    writeFileSync(`${folder}/filler`, Buffer.alloc(200_000));
    const id = await lab.add(sh('head -c 150000 /dev/zero > /out', { outputs: ['/out'] }));
    await lab.runNext();
    expect(lab.events.at(-1)).toMatchObject({
      ...{ type: 'job_ended', state: 'error', willRetry: true },
      error: 'ERR_STACKSHIM_OUTPUT_FAILED',
    });
    rmSync(`${folder}/filler`);
    await lab.backend.promote(id);
    expect((await lab.endOf(id)).result).toMatchObject({
      ...{ state: 'complete', attempt: 2 },
      artefacts: [{ path: '2/out', sizeBytes: 150_000 }],
    });
  });
});

describe('a flood of messages', () => {
  const bed = useJobLabs(() => startRedis(), options);

  it('about a job that runs makes its worker read the job once at a time, and the last one counts', async () => {
    const lab = bed.openLab();
    const id = await lab.add(sh('echo $$ > $TASK_PROGRESS_FILE; exec sleep 1000'));
    const taken = await takeFrom(lab);
    let [underWay, most, reads] = [0, 0, 0];
    const backend = new Proxy(taken.backend, {
      get(target, name) {
        if (name !== 'getJobData') return Reflect.get(target, name, target);
        return async (job: string) => {
          [underWay, reads] = [underWay + 1, reads + 1];
          most = Math.max(most, underWay);
          try {
            return await target.getJobData(job);
          } finally {
            underWay -= 1;
          }
        };
      },
    });
    const running = lab.runner.handle({ ...taken, backend });
    await waitUntil(async () => (await lab.read(id)).progress);
    for (let count = 0; count < 1_000; count += 1) lab.runner.onCancel({ lane: lab.lane, id });
    await cancel(lab, id);
    await running;
    expect((await lab.read(id)).result?.state).toBe('cancelled');
    expect(most).toBe(1);
    expect(reads).toBeLessThan(20);
  });
});

describe('a PostgreSQL whose rows are kept locked', () => {
  const bed = useJobLabs(() => startPostgres(), options);

  it('answers all other calls, and those when the rows are free', async () => {
    const lab = bed.openLab();
    const locks: { id: string; token: string }[] = [];
    for (let count = 0; count < 12; count += 1) {
      await lab.add(sh('true'));
      locks.push(await takeFrom(lab));
    }
    const holder = new Client(bed.server.url);
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('UPDATE bullmq.job SET priority = priority');
    // As many calls as there are connections, and more.
    const waiting = locks.map(({ id, token }) => lab.backend.extendLocks([id], [token], LOCK_MS));
    const waits = () =>
      bed.server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    await waitUntil(async () => (await waits()).length >= 5);
    const other = bed.openLab();
    expect((await other.runToEnd(sh('true'))).result?.state).toBe('complete');
    await holder.query('ROLLBACK');
    await holder.end();
    expect((await Promise.all(waiting)).flat()).toEqual([]);
  });
});
