/** How long the removal of a killed worker's many running tasks takes, and whether it is complete. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { Installed } from './installed.ts';

export interface ReapedOrphans {
  readonly orphans: number;
  /** From the start of `stackshim reap` to its end. */
  readonly ms: number;
  /** Tasks that were found and completely removed. */
  readonly removed: number;
  /** Whether `stackshim ps` lists none of them afterwards. */
  readonly noneLeft: boolean;
}

const run = promisify(execFile);
const LARGE = 64 * 1024 * 1024;

export async function measureReap(installed: Installed, orphans: number): Promise<ReapedOrphans> {
  const ids = await leaveOrphans(installed, orphans);
  const startedAt = performance.now();
  const reaped = await stackshim<{ reaped: readonly { id: string; removed: boolean }[] }>(
    installed,
    'reap',
  );
  const ms = performance.now() - startedAt;
  const removed = reaped.reaped.filter((task) => task.removed && ids.has(task.id)).length;
  const left = await listIds(installed);
  return { orphans, ms, removed, noneLeft: [...ids].every((id) => !left.has(id)) };
}

/** Starts the tasks in a process of their own, and kills that process. Returns their ids. */
async function leaveOrphans(installed: Installed, count: number): Promise<ReadonlySet<string>> {
  const { root, run: runFolder, stack } = installed;
  const before = await listIds(installed);
  const program = new URL('../../bench/leave-orphans.mjs', import.meta.url).pathname;
  const owner = spawn(process.execPath, [program, root, runFolder, stack, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(owner, 'exit');
  await Promise.race([
    once(owner.stdout, 'data'),
    ended.then(([code]) => {
      throw new Error(`${program}: exit code ${code}`);
    }),
  ]);
  owner.kill('SIGKILL');
  await ended;
  const ids = [...(await listIds(installed))].filter((id) => !before.has(id));
  if (ids.length !== count) throw new Error(`started ${ids.length} orphans, not ${count}`);
  return new Set(ids);
}

async function listIds(installed: Installed): Promise<ReadonlySet<string>> {
  const { tasks } = await stackshim<{ tasks: readonly { id: string }[] }>(installed, 'ps');
  return new Set(tasks.map(({ id }) => id));
}

async function stackshim<T>(
  { executable, root, run: folder }: Installed,
  name: string,
): Promise<T> {
  const env = { ...process.env, STACKSHIM_ROOT: root, STACKSHIM_RUN: folder };
  const { stdout } = await run(executable, [name, '--json'], { env, maxBuffer: LARGE });
  return JSON.parse(stdout);
}
