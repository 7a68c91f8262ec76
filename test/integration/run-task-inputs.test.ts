/** Code, payload and config are read only at the path that the policy allowed. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { runTask, type TaskInput } from '../../src/index.ts';
import { lookUpPath, openPlain } from '../../src/sys/paths.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { writePolicy } from '../support/installation/write-policy.ts';

const installation = useInstallation();
const { options, layout, env } = installation;
const top = mkdtempSync('/var/tmp/stackshim-inputs-');
chmodSync(top, 0o755);
afterAll(() => rmSync(top, { recursive: true }));

const SECRET = 'of root';
let folder: string;
const path = (name: string) => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(top, 'files-'));
  for (const name of ['allowed/code', 'private']) mkdirSync(path(name), { recursive: true });
  for (const name of ['allowed/file', 'allowed/code/file']) writeFileSync(path(name), 'allowed');
  writeFileSync(path('private/file'), SECRET, { mode: 0o600 });
  writePolicy(layout, { allow: { bindSources: [path('allowed')] } });
});

/** Replaces a path as another user could, between the policy check and the read. */
function replaceByLink(name: string, target: string): void {
  renameSync(path(name), path(`${name}-away`));
  symlinkSync(target, path(name));
}

const show: Pick<TaskInput, 'stack' | 'command'> = {
  stack: 'busybox',
  command: ['sh', '-c', 'cat /run/stackshim/payload /run/stackshim/config /task/file 2>&1'],
};

describe('an input that was replaced by a link after the policy check is not read', () => {
  it.each<[string, Partial<TaskInput>, string, string]>([
    ['a payload', { payloadFile: 'allowed/file' }, 'allowed/file', '../private/file'],
    ['a config', { configFile: 'allowed/file' }, 'allowed/file', '../private/file'],
    ['code', { code: 'allowed/code' }, 'allowed/code', '../private'],
    ['the directory of a payload', { payloadFile: 'allowed/file' }, 'allowed', 'private'],
  ])('%s', async (_, named, replaced, target) => {
    const input = Object.fromEntries(
      Object.entries(named).map(([field, name]) => [field, path(String(name))]),
    );
    const result = await runTask(
      { ...show, ...input },
      {
        ...options,
        onEvent({ type }) {
          if (type === 'accepted') replaceByLink(replaced, target);
        },
      },
    );
    expect(result).toMatchObject({
      verdict: 'setup_failed',
      removed: true,
      error: { code: 'ERR_STACKSHIM_INPUT_NOT_FOUND' },
    });
    expect(result.output.stdout).not.toContain(SECRET);
  });
});

it('links to allowed paths are followed, and relative paths are relative to the caller', async () => {
  symlinkSync('code', path('allowed/link'));
  for (const code of ['./link', '.', './code']) {
    const args = ['run', '--code', code, '--payload-file', 'file', 'busybox', 'ls', '/task'];
    const { status, stdout, stderr } = await runCli(args, { env, cwd: path('allowed') });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('file\n');
  }
});

it('a file larger than the disk limit is refused before the task exists', async () => {
  execFileSync('truncate', ['--size=2M', path('allowed/file')]);
  const payloadFile = path('allowed/file');
  await expect(runTask({ ...show, disk: '1m', payloadFile }, options)).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_DISK_LIMIT',
    details: { field: 'payloadFile', path: payloadFile },
  });
});

describe('an input path', () => {
  it('is opened where it was resolved', () => {
    symlinkSync('allowed', path('link'));
    const found = lookUpPath(path('link/file'));
    expect(found.path).toBe(path('allowed/file'));
    const fd = openPlain(found.path, { followLinks: false });
    expect(fd === undefined ? undefined : readFileSync(fd, 'utf8')).toBe('allowed');
    if (fd !== undefined) closeSync(fd);
    expect(() => openPlain(path('link/file'), { followLinks: false })).toThrow(
      expect.objectContaining({ code: 'ELOOP' }),
    );
  });

  it('is neither opened nor waited for if it is not a file or directory', () => {
    execFileSync('mkfifo', [path('fifo')]);
    for (const place of [path('fifo'), '/dev/null'])
      expect(openPlain(place, { followLinks: false })).toBeUndefined();
  });
});
