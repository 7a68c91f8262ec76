/** Duration of a flip and a rollback, and whether a task starts later if there are many stacks. */

import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { timeProgram } from './bare-runc.ts';
import type { Installed } from './installed.ts';
import { interleave, type Summary, summarize } from './statistics.ts';

export interface StackFlips {
  readonly stacks: number;
  readonly revisions: number;
  /** Milliseconds within the process, including sync to disk. */
  readonly flip: Summary;
  readonly rollback: Summary;
  /** Milliseconds of one `stackshim run` of `/bin/true`, with one stack and with many. */
  readonly startAlone: Summary;
  readonly startAmongMany: Summary;
}

const STACKS = 200;
const REVISIONS = 200;
const NOW = new Date('2026-01-01T00:00:00.000Z');

export async function measureStackFlips(installed: Installed, rounds: number): Promise<StackFlips> {
  const alone = makeStore(installed, { stacks: 1, revisions: 1 });
  const many = makeStore(installed, { stacks: STACKS, revisions: REVISIONS });
  try {
    const { flip, rollback } = timeFlips(installed, many, rounds);
    const starts = await interleave(
      {
        startAlone: () => timeStart(installed, alone),
        startAmongMany: () => timeStart(installed, many),
      },
      { rounds, warmUp: 5 },
    );
    const flips = { flip: summarize(flip), rollback: summarize(rollback) };
    return { stacks: STACKS, revisions: REVISIONS, ...flips, ...starts };
  } finally {
    for (const store of [alone, many])
      removeStore(store, timeFlips(installed, store, 0).cgroupParent);
  }
}

/** In a process of the executable's engine: the library cannot move stacks. */
function timeFlips({ stack }: Installed, { root }: Store, rounds: number): TimedFlips {
  const project = new URL('../../', import.meta.url).pathname;
  const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const bun = `${project}node_modules/@oven/bun-linux-${architecture}/bin/bun`;
  const args = [`${project}bench/time-flips.mjs`, root, stack, String(REVISIONS), String(rounds)];
  return JSON.parse(execFileSync(bun, args, { encoding: 'utf8' }));
}

interface TimedFlips {
  readonly flip: readonly number[];
  readonly rollback: readonly number[];
  /** The run folder of that store's tasks. */
  readonly cgroupParent: string;
}

interface Store {
  readonly root: string;
  readonly run: string;
}

/** A store in which all stacks have the installed stack's image; layers and images are the installed ones. */
function makeStore(
  installed: Installed,
  size: { readonly stacks: number; readonly revisions: number },
): Store {
  const folder = mkdtempSync('/var/tmp/stackshim-bench-');
  spawnSync('chmod', ['711', folder]);
  const [root, run] = [`${folder}/lib`, `${folder}/run`];
  for (const path of [root, run, `${root}/generations`]) mkdirSync(path);
  for (const name of ['layers', 'images', 'runtimes']) {
    symlinkSync(`${installed.root}/${name}`, `${root}/${name}`);
  }
  const { image } = readCurrent(installed);
  const others = Array.from({ length: size.stacks - 1 }, (_, index) => `other-${index}`);
  const stacks = Object.fromEntries(
    [installed.stack, ...others].map((name) => [name, size.revisions]),
  );
  for (const stack of Object.keys(stacks)) {
    mkdirSync(`${root}/stacks/${stack}`, { recursive: true });
    // The measured stack has all revisions; a few for each other stack are enough to fill the folders.
    const first = stack === installed.stack ? 1 : Math.max(1, size.revisions - 4);
    for (let revision = first; revision <= size.revisions; revision += 1) {
      const source = { kind: 'import', reference: 'bench' };
      const entry = { version: 1, stack, revision, image, createdAt: NOW.toISOString(), source };
      writeFileSync(`${root}/stacks/${stack}/${revision}.json`, JSON.stringify(entry));
    }
  }
  for (let number = 1; number <= size.revisions; number += 1) {
    const named = { ...stacks, [installed.stack]: number };
    const text = {
      version: 1,
      number,
      createdAt: NOW.toISOString(),
      reason: 'bench',
      stacks: named,
    };
    writeFileSync(`${root}/generations/${number}.json`, JSON.stringify(text));
  }
  symlinkSync(`generations/${size.revisions}.json`, `${root}/current`);
  return { root, run };
}

function readCurrent({ root, stack }: Installed): { readonly image: string } {
  const { stacks } = JSON.parse(readFileSync(`${root}/current`, 'utf8'));
  return JSON.parse(readFileSync(`${root}/stacks/${stack}/${stacks[stack]}.json`, 'utf8'));
}

/** With the executable, which reads the store each time. */
async function timeStart({ stack, executable }: Installed, { root, run }: Store): Promise<number> {
  const env = { ...process.env, STACKSHIM_ROOT: root, STACKSHIM_RUN: run };
  return await timeProgram(executable, ['run', stack, '--', '/bin/true'], { env });
}

function removeStore({ root, run }: Store, cgroupParent: string): void {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .trim()
    .split('\n')
    .map((line) => ({ place: line.split(' ')[4] ?? '', type: line.split(' - ')[1] ?? '' }));
  for (const { place } of mounts) if (place.startsWith(`${run}/`)) spawnSync('umount', [place]);
  for (const { place, type } of mounts) {
    if (/^cgroup2? /.test(type)) removeCgroup(`${place}${cgroupParent}`);
  }
  rmSync(root.slice(0, -'/lib'.length), { recursive: true });
}

/** Removes the folder of a parent cgroup with rmdir(2), if it exists. */
function removeCgroup(folder: string): void {
  const [parent, name] = [folder.slice(0, folder.lastIndexOf('/')), folder.split('/').at(-1) ?? ''];
  if (!readdirSync(parent).includes(name)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(`${folder}/${entry.name}`);
  }
  rmdirSync(folder);
}
