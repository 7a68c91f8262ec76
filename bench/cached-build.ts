/** What a cached build step adds to a start: the same program with and without one, in turn. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { runTask, type TaskInput } from 'stackshim';
import type { Installed } from './installed.ts';
import { interleave, type Summary } from './statistics.ts';

export interface CachedBuild {
  /** Files of the program. */
  readonly files: number;
  /** The program as it is: packed for each task. */
  readonly plain: Summary;
  /** The same program with a build step that is in the cache. */
  readonly built: Summary;
}

const FILES = 100;
const FILE_BYTES = 2000;

export async function measureCachedBuild(
  { stack, options }: Installed,
  rounds: number,
): Promise<CachedBuild> {
  const code = mkdtempSync(`${tmpdir()}/stackshim-bench-`);
  mkdirSync(`${code}/lib`);
  for (let index = 0; index < FILES; index += 1) {
    writeFileSync(`${code}/lib/${index}.txt`, String(index).padEnd(FILE_BYTES, '.'));
  }
  const plain = { stack, code, command: ['/bin/true'] };
  const built = { ...plain, build: ['/bin/sh', '-c', 'cp -r lib made'] };
  const time = async (task: TaskInput) => {
    const startedAt = performance.now();
    const result = await runTask(task, options);
    const taken = performance.now() - startedAt;
    const isCached = result.build?.cached !== false;
    if (result.verdict === 'succeeded' && result.removed && isCached) return taken;
    throw new Error(JSON.stringify(result));
  };
  try {
    // Fills the cache, unless an earlier run did.
    await runTask(built, options);
    const sides = { plain: () => time(plain), built: () => time(built) };
    return { files: FILES, ...(await interleave(sides, { rounds, warmUp: 5 })) };
  } finally {
    rmSync(code, { recursive: true });
  }
}
