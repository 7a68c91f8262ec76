/**
 * `--disk` enforced by a project quota of the scratch folder's filesystem. Requires: root, a kernel with ext4 quotas
 * (CONFIG_QFMT_V2), like Debian's; so the file runs only in the virtual machine, and fails there if quotas are missing.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { describeDiskCases } from './support/disk-cases.ts';

const runner = useTaskRunner();
const { run, installation, folder } = runner;
const scratch = `${installation.layout.root}/scratch`;

// The disposal of the installation unmounts everything below its folders.
beforeAll(() => {
  const image = `${folder}/quota.ext4`;
  execFileSync('truncate', ['-s', '8G', image]);
  execFileSync('mkfs.ext4', ['-q', '-O', 'quota,project', '-E', 'quotatype=prjquota', image]);
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  execFileSync('mount', ['-o', 'loop,prjquota', image, scratch]);
});

describe('a project quota', () => {
  it('is found by doctor', async () => {
    const { stdout } = await runCli(['doctor'], { env: installation.env });
    expect(stdout).toMatch(/ok +disk limit +a project quota/);
  });

  describeDiskCases(runner);

  it('leaves no volume, and its project id to the next task of the slot', async () => {
    for (const size of ['8m', '16m']) {
      const { record } = await run(['--disk', size], ['sh', '-c', 'echo x > /x']);
      expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    }
    expect(readdirSync(scratch)).toEqual(['lost+found']);
  });

  it('does not count what a kept task left in the same slot', async () => {
    const fill = ['sh', '-c', 'dd if=/dev/zero of=/x bs=1M count=6 2>/dev/null'];
    expect((await run(['--name', 'kept', '--keep', '--disk', '8m'], fill)).status).toBe(0);
    expect((await run(['--disk', '8m'], fill)).status).toBe(0);
    expect((await runCli(['kill', 'kept'], { env: installation.env })).status).toBe(0);
  });

  it('is not used for root of the host, which could leave the project: it gets a volume', async () => {
    const command = ['sh', '-c', 'cat /dev/zero > /x'];
    const { record } = await run(['--userns', 'host', '--disk', '8m'], command);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'disk_full' });
  });
});
