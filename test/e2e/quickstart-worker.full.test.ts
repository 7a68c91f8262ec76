/**
 * `npm run quickstart:worker` as README.md writes it, in a fresh clone, for an installation of its own: five languages. Then the sessions of
 * docs/worker.md, with the executable and the stacks that it has made. Requires: root, npm's registry, Debian's mirrors.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useLeakCheck } from '../support/host/leak-check.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import {
  envOf,
  layoutBelow,
  makeInstallationFolder,
  prepareLayout,
} from '../support/installation/test-layout.ts';
import { BUILT } from '../support/stacks/build-lab.ts';
import { type RedisServer, startRedis } from '../support/stores/start-redis.ts';
import { readTranscripts, type ShownCommand, toPattern } from './support/shell-transcript.ts';

const LIMIT_MS = 1_800_000;
const execute = promisify(execFile);
const checkout = fileURLToPath(new URL('../..', import.meta.url));
const folder = makeInstallationFolder('quickstart');
const layout = layoutBelow(folder);
const [clone, bin] = [join(folder, 'clone'), join(folder, 'bin')];
const env = { ...process.env, ...envOf(layout), PATH: `${bin}:${process.env['PATH']}` };

beforeAll(async () => {
  prepareLayout(layout);
  // As it is committed, with what is changed in this checkout.
  await execute('git', ['clone', '--quiet', '--no-hardlinks', checkout, clone]);
  const changed = await execute('git', ['ls-files', '-z', '-mo', '--exclude-standard'], {
    cwd: checkout,
  });
  for (const path of changed.stdout.split('\0')) {
    if (path !== '' && existsSync(join(checkout, path))) {
      cpSync(join(checkout, path), join(clone, path));
    }
  }
  mkdirSync(bin);
  symlinkSync(join(clone, 'dist/stackshim'), join(bin, 'stackshim'));
}, LIMIT_MS);

afterAll(() => {
  disposeInstallation(layout);
  rmSync(folder, { recursive: true });
});

useLeakCheck({ roots: () => [layout.root, layout.run], allow: [BUILT] });

const type = async (command: string, more: object = {}) => {
  const shell = ['-c', `exec 2>&1\n${command}`];
  const options = { cwd: clone, env: { ...env, ...more }, maxBuffer: 1 << 26 };
  return (await execute('/bin/sh', shell, options)).stdout;
};

describe('npm run quickstart:worker', { timeout: LIMIT_MS }, () => {
  const command = /^```\n(npm run quickstart:worker)\n```$/m.exec(
    readFileSync(join(checkout, 'README.md'), 'utf8'),
  );

  it('shows a job in each of five languages, from a fresh clone, and stops what it started', async () => {
    const shown = await type(command?.[1] ?? 'false');
    const versions = [
      [/^ {2}python-3\.13 +Python 3\.13\.\d+: the sum is 15$/m],
      [/^ {2}ruby-3\.3 +Ruby 3\.3\.\d+: the sum is 15$/m],
      [/^ {2}node-20 +Node v20\.\S+: the sum is 15$/m],
      [/^ {2}php-8\.4 +PHP 8\.4\.\S+: the sum is 15$/m],
      [/^ {2}perl-5\.40 +Perl 5\.40\.\d+: the sum is 15$/m],
    ];
    for (const [pattern] of versions) expect(shown).toMatch(pattern ?? /^$/);
    expect(shown).toContain('5 jobs are done.');
    expect(readdirSync(layout.root).filter((name) => name.startsWith('quickstart'))).toEqual([]);
    expect(JSON.parse(await type('stackshim ps --json'))).toMatchObject({ tasks: [] });
  });

  it('runs the languages that are named', async () => {
    const shown = await type(`${command?.[1]} -- perl-5.40`);
    expect(shown).toMatch(/Perl 5\.40\.\d+: the sum is 15/);
    expect(shown).toContain('1 jobs are done.');
  });
});

describe('docs/worker.md', { timeout: LIMIT_MS }, () => {
  let redis: RedisServer;
  const more: Record<string, string> = {};
  const [first = [], ...sessions] = readTranscripts(
    readFileSync(join(checkout, 'docs/worker.md'), 'utf8'),
  );

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(async () => {
    await redis?.remove();
  });

  /** The address of a store of the document becomes this test's. */
  const here = (text: string) => text.replace(/redis:\/\/127\.0\.0\.1:6379(?:\/0)?/, redis.url);

  function setVariable(command: string): boolean {
    const [, name = '', value = ''] = /^export (\w+)=(.*)$/.exec(here(command)) ?? [];
    if (name !== '') more[name] = value;
    return name !== '';
  }

  const health = join(folder, 'health');
  const ready = `curl -s --unix-socket ${health} http://localhost/readyz || true`;

  it('its sessions print what they show, beside the worker that it starts', async () => {
    const [variable, start] = first;
    expect(setVariable(variable?.command ?? '')).toBe(true);
    const [, ...args] = (start?.command ?? '').split(' ');
    const worker = spawn('stackshim', [...args, '--health', health], {
      env: { ...env, ...more },
      stdio: 'ignore',
    });
    const ended = once(worker, 'exit');
    try {
      await expect.poll(() => type(ready), { timeout: 60_000 }).toBe('{"status":"ready"}\n');
      /** The shown names of jobs → those of this run. */
      const names = new Map<string, string>();
      for (const shown of sessions.flat()) await follow(shown, names);
      expect(names.size).toBe(2);
    } finally {
      worker.kill('SIGTERM');
      await ended;
    }
  });

  async function follow(shown: ShownCommand, names: Map<string, string>): Promise<void> {
    const { command, prints } = shown;
    if (setVariable(command)) return;
    const typed = [...names].reduce((text, [from, to]) => text.replaceAll(from, to), command);
    if (!command.startsWith('curl')) return await until(typed, shown, names);
    // Its meter of progress would be between the lines.
    const quiet = typed.replace('curl', 'curl -s').replace(/\/run\/\S+health/, health);
    expect(await type(quiet)).toBe(`${prints.join('\n')}\n`);
  }

  /** A job needs a moment until it is in the state that the document shows. */
  async function until(
    typed: string,
    { command, prints }: ShownCommand,
    names: Map<string, string>,
  ): Promise<void> {
    if (/^stackshim queue add/.test(command)) {
      const printed = await type(typed, more);
      expect(printed, command).toMatch(toPattern(prints));
      names.set(prints[0] ?? '', printed.trim());
      return;
    }
    await expect
      .poll(() => type(typed, more), { timeout: 60_000, message: command })
      .toMatch(toPattern(prints));
  }
});
