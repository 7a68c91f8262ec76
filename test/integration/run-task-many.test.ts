/** Hundreds of tasks in one process at once, and tasks from worker threads. */
import { execFile, execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { runTask } from '../../src/index.ts';
import { slotIds } from '../../src/task/admission/slot.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { watchOutput } from './support/watch-output.ts';

const installation = useInstallation();
const folder = mkdtempSync('/var/tmp/stackshim-many-');
afterAll(() => rmSync(folder, { recursive: true }));

describe('many tasks at once', () => {
  it('run 200 in one process, each with its own id range and exit code', {
    timeout: scaled(180_000),
  }, async () => {
    const gate = join(folder, 'gate');
    mkdirSync(gate);
    execFileSync('mkfifo', ['-m', '666', join(gate, 'fifo')]);
    const opened = openSync(join(gate, 'fifo'), 'r+');
    const range = Array.from({ length: 200 }, (_, i) => i);
    const begun = range.map((i) => {
      const { onEvent, written } = watchOutput('\n');
      const script = `echo $(cat /proc/self/uid_map); read -r _ < /gate/fifo; exit ${i}`;
      const command = ['sh', '-c', script];
      const input = { stack: 'busybox', command, memory: '16m', volumes: [`${gate}:/gate`] };
      return { written, result: runTask(input, { ...installation.options, onEvent }) };
    });
    await Promise.all(begun.map(({ written, result }) => Promise.race([written, result])));
    expect(readdirSync(join(installation.layout.run, 'tasks'))).toHaveLength(200);
    // One line per task, also for tasks that read later.
    writeSync(opened, '\n'.repeat(range.length));
    const results = await Promise.all(begun.map(({ result }) => result));
    closeSync(opened);
    expect(results.map(({ exitCode }) => exitCode)).toEqual(range);
    expect(results.every(({ removed }) => removed)).toBe(true);
    const maps = results.map(({ output }) => output.stdout?.trim());
    expect(new Set(maps).size).toBe(200);
    expect(maps).toEqual(maps.map(() => expect.stringMatching(/^0 \d+ 65536$/)));
    expect(Math.min(...maps.map((map) => Number(map?.split(' ')[1])))).toBeGreaterThanOrEqual(
      slotIds(0).base,
    );
  });

  it('run in a worker thread, beside the main thread', async () => {
    const script = fileURLToPath(new URL('../fixtures/run-in-worker.mjs', import.meta.url));
    const env = { ...process.env, ...installation.env };
    const { stdout } = await promisify(execFile)(process.execPath, [script], { env });
    const results = JSON.parse(stdout);
    const expected = [1, 2, 3, 4, 5, 6, 7, 8];
    expect(results.map((one: { exitCode: number }) => one.exitCode)).toEqual(expected);
    for (const one of results) {
      expect(one).toMatchObject({ removed: true, output: { stdout: `${one.exitCode}\n` } });
    }
  });
});
