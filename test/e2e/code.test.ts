/** Code packages: added once, with revisions and settings, per tenant; their tasks find them mounted at /task. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AddedPackage } from '../../src/exchange/code-packages/add-package.ts';
import type { PackageDiff } from '../../src/store/packages/diff-package.ts';
import type {
  PackageDetails,
  PackageHistoryEntry,
  PackageSummary,
} from '../../src/store/packages/list-packages.ts';
import type { Collection } from '../../src/upkeep/collect-garbage.ts';
import type { DiskUsage } from '../../src/upkeep/disk-usage.ts';
import type { Verification } from '../../src/upkeep/verify-store.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const STORED = /^(file|mount) \S+\/(lib|run)\/(packages|images|layers)(\/|$)/;
const runner = useTaskRunner([STORED]);
const { installation, folder, run } = runner;
const { env } = installation;

let count = 0;
let code = '';
/** New for each test. */
let name = '';

beforeEach(() => {
  count += 1;
  name = `app-${count}`;
  code = join(folder, name);
  mkdirSync(join(code, 'data'), { recursive: true });
  writeFileSync(join(code, 'main'), `code ${count}\n`);
  writeFileSync(join(code, 'data/old'), 'old\n');
});

const cli = (...args: readonly string[]) => runCli(args, { env });
const json = async <T>(group: string, ...args: readonly string[]): Promise<T> => {
  const isGroup = group === 'code';
  const ran = await cli(
    group,
    ...args.slice(0, isGroup ? 1 : 0),
    '--json',
    ...args.slice(isGroup ? 1 : 0),
  );
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout);
};
const add = (...args: readonly string[]) => json<AddedPackage>('code', 'add', name, code, ...args);

describe('a code package', () => {
  it('is mounted at /task, writable, and stays as it was', async () => {
    const added = await add();
    const command = sh('cat main; echo mine > main; ls; pwd');
    const first = await run(['--code', name], command);
    const second = await run(['--code', `${name}@rev:1`], command);
    expect(first.stdout).toBe(`code ${count}\ndata\nmain\n/task\n`);
    expect(second.stdout).toBe(first.stdout);
    const { revision, image } = added;
    const report = { code: { name, revision, image } };
    expect(first.record).toMatchObject({ ...CLEAN, ...report, verdict: 'succeeded' });
  });

  it('costs nothing to add again, and gets a revision for each change', async () => {
    const first = await add('-e', 'A=1');
    expect(first).toMatchObject({ revision: 1, isNew: true });
    expect(await add('-e', 'A=1')).toEqual({ ...first, isNew: false });
    expect(await add('-e', 'A=2')).toMatchObject({ revision: 2, isNew: true });
    writeFileSync(join(code, 'main'), 'changed\n');
    expect(await add('-e', 'A=2')).toMatchObject({ revision: 3, isNew: true });
    const show = (at: string) => json<PackageDetails>('code', 'show', `${name}${at}`);
    expect((await show('@rev:2')).layers).toEqual((await show('@rev:1')).layers);
    expect(await show('')).toMatchObject({ revision: 3, settings: { env: { A: '2' } } });
  });

  it('brings stack, command and environment; what the task says wins', async () => {
    await add(
      '--stack',
      'busybox',
      '-e',
      'A=of package',
      '-e',
      'B=kept',
      '--',
      'sh',
      '-c',
      'echo $A $B',
    );
    const plain = await cli('run', '--code', name);
    expect(plain).toMatchObject({ status: 0, stdout: 'of package kept\n' });
    const own = await cli(
      'run',
      '--code',
      name,
      '-e',
      'A=own',
      'busybox',
      'sh',
      '-c',
      'echo $A-$B',
    );
    expect(own.stdout).toBe('own-kept\n');
  });

  it('is built once when it is added', async () => {
    const options = ['--stack', 'busybox', '--build', 'cat /proc/sys/kernel/random/uuid > made'];
    const first = await add(...options);
    expect(first).toMatchObject({ isNew: true, build: { cached: false } });
    expect(await add(...options)).toMatchObject({ isNew: false, image: first.image });
    const [one, two] = await Promise.all([
      run(['--code', name], sh('cat main made')),
      run(['--code', `${name}@${first.image}`], sh('cat main made')),
    ]);
    expect(one.stdout).toMatch(/^code \d+\n[0-9a-f-]{36}\n$/);
    expect(two.stdout).toBe(one.stdout);
    expect(one.record?.build).toBeUndefined();
  });

  it('is found by its tenant alone', async () => {
    await add('--tenant', 'a');
    const ls = (...args: readonly string[]) =>
      json<readonly PackageSummary[]>('code', 'ls', ...args);
    expect((await ls('--tenant', 'a')).map((one) => one.name)).toEqual([name]);
    expect((await ls()).map((one) => one.name)).not.toContain(name);
    const own = await run(['--code', name, '--tenant', 'a'], ['cat', 'main']);
    expect(own.status).toBe(0);
    for (const options of [[], ['--tenant', 'b']]) {
      const other = await run(['--code', name, ...options], ['cat', 'main']);
      expect(other.status).toBe(125);
      expect(other.stderr).toContain('[ERR_STACKSHIM_PACKAGE_NOT_FOUND]');
    }
  });
});

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
    writeFileSync(join(code, 'lock'), 'one\n');
    const options = [...BUILD, '--build-from', './data/'];
    const first = await add(...options);
    expect(first.build).toMatchObject({ cached: false });
    const seen = await run(['--code', name], sh('cat seen; cat main made'));
    expect(seen.stdout).toBe(`.:\ndata\nlock\nseen\n\n./data:\nold\ncode ${count}\none\n`);
    writeFileSync(join(code, 'main'), 'changed\n');
    const second = await add(...options);
    expect(second).toMatchObject({
      revision: 2,
      isNew: true,
      build: { ...first.build, cached: true },
    });
    const changed = await run(['--code', name], sh('cat main made'));
    expect(changed.stdout).toBe('changed\none\n');
    writeFileSync(join(code, 'lock'), 'two\n');
    expect((await add(...options)).build).toMatchObject({ cached: false });
    expect((await run(['--code', name], ['cat', 'made'])).stdout).toBe('two\n');
  });

  it('wins over files of the code with the same names, and what it deletes is gone', async () => {
    writeFileSync(join(code, 'lock'), 'lock\n');
    writeFileSync(join(code, 'made'), 'stale\n');
    await add(
      '--stack',
      'busybox',
      '--build',
      'echo fresh > made; rm lock',
      '--build-from',
      'lock',
    );
    const ran = await run(['--code', name], sh('cat made; ls'));
    expect(ran.stdout).toBe('fresh\ndata\nmade\nmain\n');
  });

  it('is refused for a file that the code does not have, and for one outside of it', async () => {
    for (const [file, field] of [
      ['nothing', 'buildFrom'],
      ['../x', 'buildFrom[0]'],
      ['/etc', 'buildFrom[0]'],
      ['.', 'buildFrom[0]'],
    ] as const) {
      const ran = await cli(
        'code',
        'add',
        name,
        code,
        '--stack',
        'busybox',
        '--build',
        'true',
        '--build-from',
        file,
      );
      expect(ran.status).toBe(2);
      expect(ran.stderr).toContain(field);
    }
    expect((await cli('code', 'show', name)).status).toBe(3);
  });
});

describe('a build that fails', () => {
  it('adds nothing and shows its log', async () => {
    const ran = await cli(
      'code',
      'add',
      name,
      code,
      '--stack',
      'busybox',
      '--build',
      'echo of the log; exit 3',
    );
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain('[ERR_STACKSHIM_TASK_BUILD_FAILED]');
    expect(ran.stderr).toContain('of the log\n');
    expect((await cli('code', 'history', name)).status).toBe(3);
  });
});

describe('a stackshim.json', () => {
  const write = (value: unknown) =>
    writeFileSync(
      join(code, 'stackshim.json'),
      typeof value === 'string' ? value : JSON.stringify(value),
    );

  it('says what no option says', async () => {
    write({
      ...{ stack: 'busybox', command: ['sh', '-c', 'echo $A $B; cat $CONFIG_FILE made'] },
      ...{ env: { A: 'file', B: 'file' }, config: '{"c":1}\n', memory: '64m', timeout: '30s' },
      ...{ build: 'cat lock > made', buildFrom: ['lock'], outputs: ['out'] },
      ...{ retries: 2, maxConcurrency: 4, priority: 1 },
    });
    writeFileSync(join(code, 'lock'), 'lock\n');
    await add('-e', 'B=option', '--timeout', '20s');
    const { settings } = await json<PackageDetails>('code', 'show', name);
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
    const ran = await cli('run', '--code', name);
    expect(ran.stdout).toBe('file option\n{"c":1}\nlock\n');
    const memory = await run(['--code', name], sh('echo $TASK_MEMORY $TASK_TIMEOUT'));
    expect(memory.stdout).toBe('67108864 20\n');
    const own = await run(['--code', name, '-m', '32m'], sh('echo $TASK_MEMORY'));
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
    const ran = await cli('code', 'add', name, code);
    expect(ran.stderr).toContain('[ERR_STACKSHIM_PACKAGE_INVALID]');
    expect(ran.stderr).toContain(reason);
    expect(ran.status).toBe(2);
  });

  it('that is no plain file, or too large, is refused', async () => {
    symlinkSync('/etc/passwd', join(code, 'stackshim.json'));
    expect((await cli('code', 'add', name, code)).stderr).toContain('[ERR_STACKSHIM_CODE_INVALID]');
    unlinkSync(join(code, 'stackshim.json'));
    write(' '.repeat(256 * 1024 + 1));
    expect((await cli('code', 'add', name, code)).stderr).toContain('more than 262144 bytes');
    unlinkSync(join(code, 'stackshim.json'));
    mkdirSync(join(code, 'stackshim.json'));
    expect((await cli('code', 'add', name, code)).stderr).toContain('is no plain file');
  });

  it('of an archive counts, too', async () => {
    write({ stack: 'busybox', command: ['cat', 'main'] });
    const file = join(folder, `${name}.tar.gz`);
    execFileSync('tar', ['-C', code, '-czf', file, '.']);
    const added = await json<AddedPackage>('code', 'add', name, file);
    expect(added).toMatchObject({ isNew: true });
    expect((await cli('run', '--code', name)).stdout).toBe(`code ${count}\n`);
  });
});

describe('revisions', () => {
  it('are listed, compared, rolled back and removed; a running task keeps its own', async () => {
    await add('-e', 'A=1');
    writeFileSync(join(code, 'main'), 'second\n');
    writeFileSync(join(code, 'new'), 'new\n');
    await add('-e', 'A=2', '-m', '64m');
    const diff = await json<PackageDiff>('code', 'diff', name);
    expect(diff).toMatchObject({
      from: 1,
      to: 2,
      settings: [
        { change: 'changed', name: 'env A', before: '1', after: '2' },
        { change: 'added', name: 'memory', before: null, after: '64m' },
      ],
    });
    expect(diff.files.map(({ change, path }) => [change, path])).toEqual([
      ['changed', '/main'],
      ['added', '/new'],
    ]);
    expect((await cli('code', 'diff', name, '1', '2')).stdout).toContain(
      `${name}: rev:1 -> rev:2\n`,
    );
    expect((await cli('code', 'rollback', name)).stdout).toBe(`${name}: rev:2 -> rev:1\n`);
    expect((await run(['--code', name], ['cat', 'main'])).stdout).toBe(`code ${count}\n`);
    const history = await json<readonly PackageHistoryEntry[]>('code', 'history', name);
    expect(history.map(({ revision, isCurrent }) => [revision, isCurrent])).toEqual([
      [2, false],
      [1, true],
    ]);
    expect((await cli('code', 'rollback', name)).status).toBe(3);
    expect((await cli('code', 'rollback', name, '--to', '2')).status).toBe(0);
    const task = runner.start(
      ['--code', name],
      sh('echo begun; until [ -e /task/go ]; do sleep 0.1; done; cat main'),
    );
    await task.printed('begun');
    expect((await cli('code', 'rm', name)).stdout).toBe(`${name}: removed, revisions 1, 2\n`);
    expect((await cli('gc')).status).toBe(0);
    const { stdout } = await cli('ps', '-q');
    const id = stdout.trim();
    expect((await cli('exec', id, '--', 'touch', '/task/go')).status).toBe(0);
    expect((await task.ended).stdout).toBe('begun\nsecond\n');
    expect((await cli('run', '--code', name, 'busybox', 'true')).status).toBe(125);
    await add();
    expect(await json<PackageDetails>('code', 'show', name)).toMatchObject({ revision: 3 });
  });
});

describe('collection', () => {
  it('keeps what packages need, and frees what they needed', async () => {
    await add('--stack', 'busybox', '--build', 'head -c 100000 /dev/urandom > made');
    await cli('gc');
    const kept = await json<Collection>('gc');
    expect(kept).toMatchObject({ images: [], layers: [], packages: [] });
    expect((await run(['--code', name], ['cat', 'main'])).status).toBe(0);
    writeFileSync(join(code, 'main'), 'second\n');
    await add();
    const usage = await json<DiskUsage>('df');
    expect(usage.packages.count).toBeGreaterThan(0);
    expect(usage.packages.bytes).toBeGreaterThan(100_000);
    const old = await json<Collection>('gc', '--keep-revisions', '0');
    expect(old.packages).toContainEqual({ name, tenant: null, revision: 1 });
    expect(old.images.length).toBeGreaterThan(0);
    expect((await run(['--code', name], ['cat', 'main'])).stdout).toBe('second\n');
    const verified = await json<Verification>('verify');
    expect(verified.damage).toEqual([]);
    expect(verified.packages).toBeGreaterThan(0);
  });

  it('stops at damage; verify names the package, and adding it again repairs its layers', async () => {
    await add('--tenant', 'a');
    const shown = await json<PackageDetails>('code', 'show', name, '--tenant', 'a');
    const layer = `${installation.layout.root}/layers/${shown.layers[0]?.id}.erofs`;
    const file = `${installation.layout.root}/packages/a/${name}/1.json`;
    const text = readFileSync(file);
    writeFileSync(file, '{');
    const verified = await cli('verify');
    expect(verified.status).toBe(1);
    expect(verified.stdout).toContain(`affects: code package ${name}@rev:1 of tenant a (current)`);
    expect((await run(['--code', name, '--tenant', 'a'], ['true'])).stderr).toContain(
      '[ERR_STACKSHIM_PACKAGE_CORRUPT]',
    );
    expect((await cli('gc')).stderr).toContain('[ERR_STACKSHIM_PACKAGE_CORRUPT]');
    expect((await cli('code', 'ls', '--all')).stderr).toContain(`read code package ${name}`);
    writeFileSync(file, text);
    rmSync(layer);
    expect((await cli('verify')).status).toBe(1);
    expect(await add('--tenant', 'a')).toMatchObject({ revision: 1, isNew: false });
    expect((await cli('verify')).status).toBe(0);
    expect((await run(['--code', name, '--tenant', 'a'], ['cat', 'main'])).status).toBe(0);
  });
});
