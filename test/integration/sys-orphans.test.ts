/** A subreaper's orphans: taken when nobody waits for them, and only then. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { linuxSystem as system } from '../../src/sys/linux-system.ts';
import { reapSeen } from '../../src/sys/orphan-reaper.ts';
import { drainPipe } from '../../src/sys/pipes.ts';
import { readProcess } from '../../src/sys/processes.ts';

it('reaps an orphan that it has seen before, and no sooner', async () => {
  system.becomeSubreaper();
  const [readEnd, writeEnd] = system.createPipe();
  const parent = spawn('sh', ['-c', 'sleep 600 & echo $!'], {
    stdio: ['ignore', writeEnd, 'inherit'],
  });
  closeSync(writeEnd);
  let text = '';
  const drain = drainPipe(readEnd, (chunk) => {
    text += Buffer.from(chunk).toString();
    drain.stop();
  });
  await Promise.all([once(parent, 'exit'), drain.ended]);
  const pid = Number(text);
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => readProcess(pid)?.state).toBe('Z');
  const seen = reapSeen(system, new Set());
  expect(readProcess(pid)?.state).toBe('Z');
  reapSeen(system, seen);
  expect(readProcess(pid)).toBeUndefined();
});

it('leaves a running child alone', async () => {
  const child = spawn('sleep', ['600']);
  const seen = reapSeen(system, new Set());
  reapSeen(system, seen);
  expect(readFileSync(`/proc/${child.pid}/comm`, 'utf8')).toMatch(/sleep|node/);
  child.kill('SIGKILL');
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
});
