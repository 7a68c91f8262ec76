/** When a process that packs code is killed, its `mkfs.erofs` ends too: on a truncated tar it would write forever. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findProcesses } from '../../src/sys/processes.ts';
import { STACKSHIM } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';

const installation = useInstallation();
let code: string;
beforeEach(() => {
  code = mkdtempSync(join(tmpdir(), 'stackshim-code-'));
  mkdirSync(join(code, 'data'));
  // Enough files that packing takes longer than finding the process.
  for (let index = 0; index < 40; index += 1) {
    writeFileSync(join(code, 'data', String(index)), Buffer.alloc(8 * 1024 * 1024, index));
  }
});
afterEach(() => rmSync(code, { recursive: true }));

it('leaves no mkfs.erofs behind', async () => {
  const before = new Set(findProcesses((args) => args.includes('image.erofs')));
  const packers = () =>
    findProcesses((args) => args.includes('image.erofs')).filter((pid) => !before.has(pid));
  const shim = spawn(STACKSHIM, ['run', '--name', 'packer', '--code', code, 'busybox', 'true'], {
    env: { ...process.env, ...installation.env },
    stdio: 'ignore',
  });
  await expect.poll(packers, { interval: 1, timeout: 10_000 }).not.toEqual([]);
  shim.kill('SIGKILL');
  await once(shim, 'exit');
  await expect.poll(packers, { timeout: 10_000 }).toEqual([]);
  const reap = spawn(STACKSHIM, ['reap'], {
    env: { ...process.env, ...installation.env },
    stdio: 'ignore',
  });
  expect(await once(reap, 'exit')).toEqual([0, null]);
});
