/** The cost of isolation: a task with all of it and one without, in turn. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { type RunTaskOptions, runTask, type TaskInput } from 'stackshim';
import type { Installed } from './installed.ts';
import { interleave, type Summary } from './statistics.ts';

export interface IsolationCost {
  /** User namespace, seccomp, its own disk space: the defaults of every task. */
  readonly isolated: Summary;
  /** The host's user namespace, every system call, the host's disk. This task claims a slot as well. */
  readonly open: Summary;
}

export async function measureIsolationCost(
  installed: Installed,
  rounds: number,
): Promise<IsolationCost> {
  const task = { stack: installed.stack, command: ['/bin/true'] };
  const bare = { ...task, userns: 'host', securityOpt: ['seccomp=unconfined'] };
  const folder = mkdtempSync(`${tmpdir()}/stackshim-bench-`);
  const policyFile = `${folder}/policy.json`;
  writeFileSync(policyFile, JSON.stringify({ disk: { mechanism: 'sampling' } }), { mode: 0o644 });
  try {
    return await interleave(
      {
        isolated: () => timeTask(task, installed.options),
        open: () => timeTask(bare, { ...installed.options, policy: policyFile }),
      },
      { rounds, warmUp: 5 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function timeTask(task: TaskInput, options: RunTaskOptions): Promise<number> {
  const startedAt = performance.now();
  const result = await runTask(task, options);
  const taken = performance.now() - startedAt;
  if (result.verdict !== 'succeeded' || !result.removed) throw new Error(JSON.stringify(result));
  return taken;
}
