/** Ids for programs that read untrusted files: one program each, with no process left afterwards. Requires: root. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { adoptFile } from '../../src/archive/adopt-file.ts';
import { claimWorker, type Worker } from '../../src/archive/claim-worker.ts';
import { FIRST_WORKER_ID, WORKER_ID_COUNT } from '../../src/core/host-ids.ts';
import { layoutFrom } from '../../src/core/layout.ts';
import { narrowStore } from '../../src/store/narrow-store.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { claimNumber } from '../../src/sys/numbered-locks.ts';
import { bootId } from '../../src/sys/processes.ts';
import { workers } from '../support/installation/workers.ts';
import { layoutAt } from '../support/stacks/stack-store.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync('/var/tmp/stackshim-workers-');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Claims from the machine's own folder, because other tests claim ids at the same time. */
const claim = (slots = workers.layout.slots) => claimWorker({ ...workers, layout: { slots } });
const idOf = ({ id }: Worker) => id ?? 0;

/** Leaves a process with the id that ends only on KILL; its parent ends. */
async function leaveProcess(id: number): Promise<number> {
  const script = "trap '' TERM HUP INT; setsid sh -c 'echo $$; exec sleep 600' & wait";
  const ids = [`--reuid=${id}`, `--regid=${id}`, '--clear-groups', 'sh', '-c', script];
  const child = spawn('setpriv', ids, { stdio: ['ignore', 'pipe', 'ignore'], cwd: '/' });
  const [line] = await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  return Number(String(line));
}

const isRunning = (pid: number) => {
  const stat = statSync(`/proc/${pid}`, { throwIfNoEntry: false });
  return stat !== undefined && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
};

it('worker ids belong to one program at a time', async () => {
  const claimed = await Promise.all([claim(), claim(), claim()]);
  const ids = claimed.map(idOf);
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) {
    expect(id).toBeGreaterThanOrEqual(FIRST_WORKER_ID);
    expect(id).toBeLessThan(FIRST_WORKER_ID + WORKER_ID_COUNT);
  }
  for (const worker of claimed) await worker.end();
});

it('worker ids differ from those of another suite on this machine', async () => {
  const layouts = ['one', 'other'].map((name) => layoutAt(`${folder}/${name}`));
  const claimed = await Promise.all(layouts.map((layout) => claimWorker({ ...workers, layout })));
  expect(new Set(claimed.map(idOf)).size).toBe(2);
  for (const worker of claimed) await worker.end();
});

it('no process of a worker id is left when it is given back', async () => {
  const worker = await claim();
  const pid = await leaveProcess(idOf(worker));
  expect(isRunning(pid)).toBe(true);
  await worker.end();
  expect(isRunning(pid)).toBe(false);
});

it('no process of a worker id is left when it is claimed, even if its last owner was killed', async () => {
  // The state that a killed process leaves.
  const left = claimNumber(linuxSystem, {
    folder: `${workers.layout.slots}/workers`,
    count: WORKER_ID_COUNT,
    holder: `${bootId()}\n`,
    isTaken: () => false,
  });
  const pid = await leaveProcess(FIRST_WORKER_ID + (left?.number ?? 0));
  left?.close();
  const claimed: Worker[] = [];
  while (isRunning(pid)) claimed.push(await claim());
  expect(claimed.length).toBeLessThan(20);
  for (const worker of claimed) await worker.end();
});

it('worker ids cannot be claimed in a folder that other users can write to', async () => {
  mkdirSync(`${folder}/slots`);
  chmodSync(`${folder}/slots`, 0o777);
  await expect(claim(`${folder}/slots`)).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_HOST_UNSUPPORTED',
  });
});

it('a file is adopted by copying, up to a size limit', async () => {
  writeFileSync(`${folder}/made`, 'content');
  const adopted = await adoptFile(`${folder}/made`, `${folder}/kept`, 7);
  expect(adopted).toMatchObject({ sizeBytes: 7 });
  const [made, kept] = [statSync(`${folder}/made`), statSync(`${folder}/kept`)];
  expect(kept.ino).not.toBe(made.ino);
  expect(kept.mode & 0o777).toBe(0o400);
  for (const [source, most] of [
    ['made', 6],
    ['.', 7],
  ] as const) {
    await expect(adoptFile(`${folder}/${source}`, `${folder}/none`, most)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SYSTEM',
    });
    expect(statSync(`${folder}/none`, { throwIfNoEntry: false })).toBeUndefined();
  }
});

it('the modes of files that an older version stored are narrowed, folder by folder', () => {
  const layout = layoutFrom({ root: `${folder}/lib`, run: `${folder}/run` }, {});
  mkdirSync(`${layout.root}/layers`, { recursive: true });
  mkdirSync(`${layout.root}/stacks/a`, { recursive: true });
  mkdirSync(`${layout.run}/layers`, { recursive: true });
  for (const file of ['layers/x.erofs', 'layers/x.json', 'stacks/a/1.json']) {
    writeFileSync(`${layout.root}/${file}`, '');
    chmodSync(`${layout.root}/${file}`, 0o644);
  }
  chmodSync(`${layout.root}/layers/x.erofs`, 0o444);
  for (const place of ['lib/layers', 'lib/stacks', 'lib/stacks/a', 'run/layers']) {
    chmodSync(`${folder}/${place}`, 0o755);
  }
  narrowStore(layout);
  const modeOf = (path: string) => statSync(`${folder}/${path}`).mode & 0o777;
  expect(['lib/layers', 'lib/stacks', 'lib/stacks/a', 'run/layers'].map(modeOf)).toEqual([
    0o700, 0o700, 0o700, 0o700,
  ]);
  expect(['lib/layers/x.erofs', 'lib/layers/x.json', 'lib/stacks/a/1.json'].map(modeOf)).toEqual([
    0o400, 0o600, 0o600,
  ]);
});

it('a read-only folder keeps its modes, and folders on another disk are narrowed', () => {
  const layout = layoutFrom({ root: `${folder}/lib`, run: `${folder}/run` }, {});
  const [layers, images] = [`${layout.root}/layers`, `${layout.root}/images`];
  for (const place of [layers, images]) {
    mkdirSync(place, { recursive: true });
    writeFileSync(`${place}/file`, '');
    chmodSync(`${place}/file`, 0o644);
    chmodSync(place, 0o755);
  }
  execFileSync('mount', ['--bind', layers, layers]);
  try {
    execFileSync('mount', ['-o', 'remount,bind,ro', layers]);
    narrowStore(layout);
    const modes = [layers, images].map((path) => statSync(path).mode & 0o777);
    expect(modes).toEqual([0o755, 0o700]);
  } finally {
    execFileSync('umount', [layers]);
  }
});
