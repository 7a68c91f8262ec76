/** What code packages bring: the settings of a stackshim.json, and what their builds left. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AddedPackage } from '../../src/exchange/code-packages/add-package.ts';
import type { PackageDetails } from '../../src/store/packages/list-packages.ts';
import { sh } from '../support/cli/shell.ts';
import { useCodeRunner } from './support/code-runner.ts';

const { folder, run, count, code, packageName, cli, json, add } = useCodeRunner();

/** Resolves whether the command succeeds or not. */
const tryToAdd = (build: string, ...options: readonly string[]) => {
  const settings = ['--stack', 'busybox', '--build', build, ...options];
  return cli('code', 'add', packageName(), code(), ...settings);
};

describe('a build from files of the code', () => {
  const BUILD = [
    '--stack',
    'busybox',
    '--build',
    'ls -R > seen; cat lock > made',
    '--build-from',
    'lock',
  ];

  it('sees only those, and is not repeated when other code changes', async () => {
    writeFileSync(join(code(), 'lock'), 'one\n');
    const options = [...BUILD, '--build-from', './data/'];
    const first = await add(...options);
    expect(first.build).toMatchObject({ cached: false });
    const seen = await run(['--code', packageName()], sh('cat seen; cat main made'));
    expect(seen.stdout).toBe(`.:\ndata\nlock\nseen\n\n./data:\nold\ncode ${count()}\none\n`);
    writeFileSync(join(code(), 'main'), 'changed\n');
    const second = await add(...options);
    expect(second).toMatchObject({
      revision: 2,
      isNew: true,
      build: { ...first.build, cached: true },
    });
    const changed = await run(['--code', packageName()], sh('cat main made'));
    expect(changed.stdout).toBe('changed\none\n');
    writeFileSync(join(code(), 'lock'), 'two\n');
    expect((await add(...options)).build).toMatchObject({ cached: false });
    expect((await run(['--code', packageName()], ['cat', 'made'])).stdout).toBe('two\n');
  });

  it('wins over files of the code with the same names, and what it deletes is gone', async () => {
    writeFileSync(join(code(), 'lock'), 'lock\n');
    writeFileSync(join(code(), 'made'), 'stale\n');
    await add(
      '--stack',
      'busybox',
      '--build',
      'echo fresh > made; rm lock',
      '--build-from',
      'lock',
    );
    const ran = await run(['--code', packageName()], sh('cat made; ls'));
    expect(ran.stdout).toBe('fresh\ndata\nmade\nmain\n');
  });

  it('is refused for a file that the code does not have, and for one outside of it', async () => {
    for (const [file, field] of [
      ['nothing', 'buildFrom'],
      ['../x', 'buildFrom[0]'],
      ['/etc', 'buildFrom[0]'],
      ['.', 'buildFrom[0]'],
    ] as const) {
      const ran = await tryToAdd('true', '--build-from', file);
      expect(ran.status).toBe(2);
      expect(ran.stderr).toContain(field);
    }
    expect((await cli('code', 'show', packageName())).status).toBe(3);
  });
});

describe('a build that fails', () => {
  it('adds nothing and shows its log', async () => {
    const ran = await tryToAdd('echo of the log; exit 3');
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain('[ERR_STACKSHIM_TASK_BUILD_FAILED]');
    expect(ran.stderr).toContain('of the log\n');
    expect((await cli('code', 'history', packageName())).status).toBe(3);
  });
});

describe('a stackshim.json', () => {
  const write = (value: unknown) =>
    writeFileSync(
      join(code(), 'stackshim.json'),
      typeof value === 'string' ? value : JSON.stringify(value),
    );

  it('says what no option says', async () => {
    write({
      ...{ stack: 'busybox', command: ['sh', '-c', 'echo $A $B; cat $CONFIG_FILE made'] },
      ...{ env: { A: 'file', B: 'file' }, config: '{"c":1}\n', memory: '64m', timeout: '30s' },
      ...{ build: 'cat lock > made', buildFrom: ['lock'], outputs: ['out'] },
      ...{ retries: 2, maxConcurrency: 4, priority: 1 },
    });
    writeFileSync(join(code(), 'lock'), 'lock\n');
    await add('-e', 'B=option', '--timeout', '20s');
    const { settings } = await json<PackageDetails>('code', 'show', packageName());
    expect(settings).toEqual({
      ...{ stack: 'busybox', command: ['sh', '-c', 'echo $A $B; cat $CONFIG_FILE made'] },
      ...{ env: { A: 'file', B: 'option' }, config: '{"c":1}\n', outputs: ['out'] },
      ...{
        build: 'cat lock > made',
        buildFiles: ['lock'],
        retries: 2,
        maxConcurrency: 4,
        priority: 1,
      },
      limits: { memory: '64m', timeout: '20s' },
    });
    const ran = await cli('run', '--code', packageName());
    expect(ran.stdout).toBe('file option\n{"c":1}\nlock\n');
    const memory = await run(['--code', packageName()], sh('echo $TASK_MEMORY $TASK_TIMEOUT'));
    expect(memory.stdout).toBe('67108864 20\n');
    const own = await run(['--code', packageName(), '-m', '32m'], sh('echo $TASK_MEMORY'));
    expect(own.stdout).toBe('33554432\n');
  });

  it.each([
    ['not JSON', '{'],
    ['no such field', { code: '/etc' }],
    ['no such field', { tenant: 'b' }],
    ['no such field', { buildNetwork: 'host' }],
    ['no such field', { mounts: ['/:/host'] }],
    ['not a string', { stack: 1 }],
    ['not a name', { stack: '../x' }],
    ['given without build', { buildFrom: ['main'] }],
    ['not a whole number', { retries: 11 }],
    ['not a number of bytes', { memory: 'much' }],
    ['more than 60000 characters', { config: 'x'.repeat(60_001) }],
    ['not an object', []],
  ])('that is wrong is refused: %s', async (reason, value) => {
    write(value);
    const ran = await cli('code', 'add', packageName(), code());
    expect(ran.stderr).toContain('[ERR_STACKSHIM_PACKAGE_INVALID]');
    expect(ran.stderr).toContain(reason);
    expect(ran.status).toBe(2);
  });

  it('that is no plain file, or too large, is refused', async () => {
    symlinkSync('/etc/passwd', join(code(), 'stackshim.json'));
    expect((await cli('code', 'add', packageName(), code())).stderr).toContain(
      '[ERR_STACKSHIM_CODE_INVALID]',
    );
    unlinkSync(join(code(), 'stackshim.json'));
    write(' '.repeat(256 * 1024 + 1));
    expect((await cli('code', 'add', packageName(), code())).stderr).toContain(
      'more than 262144 bytes',
    );
    unlinkSync(join(code(), 'stackshim.json'));
    mkdirSync(join(code(), 'stackshim.json'));
    expect((await cli('code', 'add', packageName(), code())).stderr).toContain('is no plain file');
  });

  it('of an archive counts, too', async () => {
    write({ stack: 'busybox', command: ['cat', 'main'] });
    const file = join(folder, `${packageName()}.tar.gz`);
    execFileSync('tar', ['-C', code(), '-czf', file, '.']);
    const added = await json<AddedPackage>('code', 'add', packageName(), file);
    expect(added).toMatchObject({ isNew: true });
    expect((await cli('run', '--code', packageName())).stdout).toBe(`code ${count()}\n`);
  });
});
