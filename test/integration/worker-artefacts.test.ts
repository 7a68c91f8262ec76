/** Outputs of jobs' tasks, kept with the jobs, and removed with them. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createWorker } from '../../src/worker/create-worker.ts';
import { sweepKept } from '../../src/worker/run/sweep-kept.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { startRedis } from '../support/stores/start-redis.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import type { JobLab } from './support/job-lab.ts';
import { useJobLabs } from './support/job-labs.ts';

const { options } = useInstallation();
const bed = useJobLabs(() => startRedis(), options);
let folder: string;
let lab: JobLab;

beforeEach(() => {
  folder = mkdtempSync('/var/tmp/stackshim-artefacts-');
  lab = bed.openLab({ context: { artefactFolder: folder } });
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const sh = (script: string, outputs: readonly string[], more: object = {}) => ({
  version: 1,
  stack: 'busybox',
  command: ['sh', '-c', script],
  outputs,
  ...more,
});
const folderOf = (id: string) => `${folder}/${lab.lane.queue}~~/${id}`;

it('outputs are kept by attempt, in folders as in the task, and listed in the result', async () => {
  const script =
    'mkdir -p /out/a; echo one > /out/a/x; echo two > /out/y; ln -s /etc/passwd /out/l';
  const job = await lab.runToEnd(sh(script, ['/out/a/x', '/out/y', '/out/l', '/out/none']));
  expect(job.result).toMatchObject({
    state: 'complete',
    artefacts: [
      { path: '1/out/a/x', sizeBytes: 4 },
      { path: '1/out/y', sizeBytes: 4 },
    ],
  });
  expect(readFileSync(`${folderOf(job.id)}/1/out/a/x`, 'utf8')).toBe('one\n');
  expect(job.result?.task?.outputs?.map(({ state, destination }) => [state, destination])).toEqual([
    ['complete', `${folderOf(job.id)}/1/out/a`],
    ['complete', `${folderOf(job.id)}/1/out`],
    ['complete', `${folderOf(job.id)}/1/out`],
    ['missing', `${folderOf(job.id)}/1/out`],
  ]);
  expect(statSync(folderOf(job.id)).mode & 0o777).toBe(0o700);
  expect(readdirSync(folderOf(job.id))).toEqual(['1']);
});

it('a failed attempt keeps its artefacts beside those of the next one', async () => {
  const job = await lab.runToEnd(sh('echo x > /r; exit 1', ['/r'], { retries: 1 }));
  expect(lab.warnings).toEqual([]);
  expect(job.attempts.map(({ artefacts }) => artefacts)).toEqual([
    [{ path: '1/r', sizeBytes: 2 }],
    [{ path: '2/r', sizeBytes: 2 }],
  ]);
  expect(readdirSync(folderOf(job.id)).sort()).toEqual(['1', '2']);
});

it('outputs above the limits of the policy are left out', async () => {
  const script = 'head -c 2000000 /dev/zero > /big; echo x > /small';
  const many = { ...sh(script, ['/big', '/small']), disk: '64m' };
  const job = await lab.runToEnd(many);
  expect(job.result?.artefacts.map(({ path }) => path)).toEqual(['1/big', '1/small']);
});

it('an output that lies too deep is refused', async () => {
  const job = await lab.runToEnd(sh('true', [`/${'d/'.repeat(40)}x`]));
  expect(job.result).toMatchObject({ state: 'error', error: { details: { field: 'outputs' } } });
});

it('a run that is handed back leaves nothing', async () => {
  const id = await lab.add(sh('echo x > /r; while :; do sleep 0.05; done', ['/r']));
  const running = lab.runNext();
  await waitUntil(async () => typeof (await lab.read(id)).progress === 'object');
  lab.runner.drain();
  await running;
  expect(readdirSync(folderOf(id))).toEqual([]);
});

it('a sweep removes what belongs to no job, or to one that has ended long ago', async () => {
  const kept = await lab.runToEnd(sh('echo x > /r', ['/r']));
  const old = await lab.runToEnd(sh('echo x > /r', ['/r']));
  const lane = `${folder}/${lab.lane.queue}~~`;
  mkdirSync(`${lane}/removed/1`, { recursive: true });
  writeFileSync(`${lane}/removed.ndjson`, '{}\n');
  mkdirSync(`${folder}/not a lane`);
  writeFileSync(`${lane}/.hidden`, '');
  utimesSync(`${lane}/${old.id}`, 0, 0);
  const { signal } = new AbortController();
  await sweepKept({
    store: bed.store,
    folders: [folder, `${folder}/none`],
    keepResultsMs: 60_000,
    signal,
  });
  expect(readdirSync(lane).sort()).toEqual(['.hidden', kept.id].sort());
  expect(existsSync(`${folder}/not a lane`)).toBe(true);
});

it('a folder that others could replace is refused: root writes and removes files there', async () => {
  const open = `${folder}/open`;
  mkdirSync(open);
  chmodSync(open, 0o777);
  for (const field of ['artefacts', 'logs']) {
    const started = createWorker({
      ...{ ...options, store: 'redis://127.0.0.1:1/0', queues: ['q'] },
      [field]: `${open}/kept`,
    });
    await expect(started).rejects.toMatchObject({ code: 'ERR_STACKSHIM_PATH_UNTRUSTED' });
  }
});
