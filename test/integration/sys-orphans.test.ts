/** Orphans of a subreaper are reaped only if no one waits for them. Requires: gcc. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linuxSystem as system } from '../../src/sys/linux-system.ts';
import { reapSeen, startOrphanReaper } from '../../src/sys/orphan-reaper.ts';
import { drainPipe } from '../../src/sys/pipes.ts';
import { readProcess } from '../../src/sys/processes.ts';

it('an orphan is reaped at the second look, not at the first', async () => {
  system.becomeSubreaper();
  const [readEnd, writeEnd] = system.createPipe();
  const parent = spawn('sh', ['-c', 'sleep 600 & echo $!'], {
    stdio: ['ignore', writeEnd, 'inherit'],
  });
  closeSync(writeEnd);
  let text = '';
  const drain = drainPipe(readEnd, (chunk) => {
    text += Buffer.from(chunk).toString();
    drain.finish();
  });
  await Promise.all([once(parent, 'exit'), drain.ended]);
  const pid = Number(text);
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => readProcess(pid)?.state).toBe('Z');
  const seen = reapSeen(system, new Map());
  expect(readProcess(pid)?.state).toBe('Z');
  reapSeen(system, seen);
  expect(readProcess(pid)).toBeUndefined();
});

it('an orphan whose descriptor an ended thread left is reaped after a minute', () => {
  const child = spawn('true');
  const pid = child.pid ?? 0;
  const left = system.openPidfd(pid);
  // No turn of the event loop lies between these looks: the program that started it cannot wait for it.
  while (!system.isWaitable(pid)) execFileSync('true');
  let seen = reapSeen(system, new Map());
  for (let looks = 1; looks < 60; looks += 1) seen = reapSeen(system, seen);
  expect(readProcess(pid)?.state).toBe('Z');
  reapSeen(system, seen);
  expect(readProcess(pid)).toBeUndefined();
  system.close(left);
});

it('a running child is not reaped', async () => {
  const child = spawn('sleep', ['600']);
  const seen = reapSeen(system, new Map());
  reapSeen(system, seen);
  expect(readFileSync(`/proc/${child.pid}/comm`, 'utf8')).toMatch(/sleep|node/);
  child.kill('SIGKILL');
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
});

describe('a child of the program that uses the library', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stackshim-orphans-'));
  const program = join(folder, 'first-thread-leaves');
  beforeAll(() => {
    const source = fileURLToPath(new URL('../fixtures/first-thread-leaves.c', import.meta.url));
    execFileSync('gcc', ['-O1', '-pthread', '-o', program, source]);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const start = (milliseconds: number, code: number): ChildProcess =>
    spawn(program, [String(milliseconds), String(code)], { stdio: 'ignore' });

  it('is not an orphan while it is a zombie with running threads, nor right after its end', async () => {
    const child = start(600_000, 0);
    await expect.poll(() => readProcess(child.pid ?? 0)?.state).toBe('Z');
    const seen = reapSeen(system, new Map());
    expect([...seen.keys()].some((name) => name.startsWith(`${child.pid}-`))).toBe(false);
    child.kill('SIGKILL');
    // No turn of the event loop lies between its end and this look.
    while (!system.isWaitable(child.pid ?? 0)) execFileSync('true');
    reapSeen(system, seen);
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
  });

  it('is never reaped as an orphan: the program gets each of two thousand exits', async () => {
    system.becomeSubreaper();
    startOrphanReaper(system);
    const children = Array.from({ length: 2_000 }, (_, i) => start(1_500 + 2 * i, i % 100));
    const exits = await Promise.all(children.map((child) => once(child, 'exit')));
    expect(exits).toEqual(children.map((_, i) => [i % 100, null]));
  });
});
