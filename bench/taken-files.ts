/** Duration of taking 1,000 files of 10 KB out of an ended task, beside `cp -a` of the same tree. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { openStackshim, runTask } from 'stackshim';
import type { Installed } from './installed.ts';
import { interleave, type Summary } from './statistics.ts';

export interface TakenFiles {
  readonly files: number;
  readonly fileBytes: number;
  /** From the task's end to the end of the accounting, which includes the outputs. */
  readonly library: Summary;
  readonly executable: Summary;
  /** `cp -a` of the same tree where a kept task has left it, as far from the disk as for the other two. */
  readonly copied: Summary;
}

const FILES = 1_000;
const FILE_BYTES = 10 * 1024;

const MAKE_TREE = `
import os
for folder in range(10):
    os.makedirs(f'/out/{folder}')
    for file in range(${FILES / 10}):
        with open(f'/out/{folder}/{file}', 'wb') as target:
            target.write(os.urandom(${FILE_BYTES}))
`;
const COMMAND = ['python3', '-c', MAKE_TREE];

export async function measureTakenFiles(installed: Installed, runs: number): Promise<TakenFiles> {
  const { stack, options, executable, root, run } = installed;
  // On the filesystem of the root folder, as the tasks' own files are.
  const folder = mkdtempSync(`${root}/bench-`);
  let count = 0;
  const next = () => {
    count += 1;
    return `${folder}/${count}`;
  };
  const takenBy = async (take: (destination: string) => Promise<number>) => {
    const destination = next();
    const taken = await take(destination);
    rmSync(destination, { recursive: true });
    return taken;
  };
  try {
    const sides = {
      library: () => takenBy(byLibrary),
      executable: () => takenBy(byExecutable),
      copied: () => takenBy(byCp),
    };
    const summaries = await interleave(sides, { rounds: runs, warmUp: 2 });
    return { files: FILES, fileBytes: FILE_BYTES, ...summaries };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  async function byLibrary(destination: string): Promise<number> {
    const outputs = [`/out:${destination}`];
    const result = await runTask({ stack, command: COMMAND, outputs }, options);
    return accountOf(result);
  }

  async function byCp(destination: string): Promise<number> {
    const { id } = await runTask({ stack, command: COMMAND, keep: true }, options);
    const startedAt = performance.now();
    execFileSync('cp', ['-a', `${root}/scratch/${id}/rootfs/upper/out`, destination]);
    const taken = performance.now() - startedAt;
    await openStackshim(options).kill(id);
    return taken;
  }

  function byExecutable(destination: string): Promise<number> {
    const args = ['run', '--json', '--output', `/out:${destination}`, stack, ...COMMAND];
    const env = { ...process.env, STACKSHIM_ROOT: root, STACKSHIM_RUN: run };
    return Promise.resolve(
      accountOf(JSON.parse(execFileSync(executable, args, { env }).toString())),
    );
  }
}

type Result = Awaited<ReturnType<typeof runTask>>;

function accountOf(result: Result): number {
  const output = result.outputs?.[0];
  if (output?.files === FILES) return result.phasesMs.account;
  throw new Error(JSON.stringify(result));
}
