/** Code packages: added once, with revisions, per tenant; their tasks find them mounted at /task. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PackageDiff } from '../../src/store/packages/diff-package.ts';
import type {
  PackageDetails,
  PackageHistoryEntry,
  PackageSummary,
} from '../../src/store/packages/list-packages.ts';
import type { Collection } from '../../src/upkeep/collect-garbage.ts';
import type { DiskUsage } from '../../src/upkeep/disk-usage.ts';
import type { Verification } from '../../src/upkeep/verify-store.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN } from '../support/cli/task-runner.ts';
import { useCodeRunner } from './support/code-runner.ts';

const { installation, run, start, count, code, packageName, cli, json, add } = useCodeRunner();

describe('a code package', () => {
  it('is mounted at /task, writable, and stays as it was', async () => {
    const added = await add();
    const command = sh('cat main; echo mine > main; ls; pwd');
    const first = await run(['--code', packageName()], command);
    const second = await run(['--code', `${packageName()}@rev:1`], command);
    expect(first.stdout).toBe(`code ${count()}\ndata\nmain\n/task\n`);
    expect(second.stdout).toBe(first.stdout);
    const { revision, image } = added;
    const report = { code: { name: packageName(), revision, image } };
    expect(first.record).toMatchObject({ ...CLEAN, ...report, verdict: 'succeeded' });
  });

  it('costs nothing to add again, and gets a revision for each change', async () => {
    const first = await add('-e', 'A=1');
    expect(first).toMatchObject({ revision: 1, isNew: true });
    expect(await add('-e', 'A=1')).toEqual({ ...first, isNew: false });
    expect(await add('-e', 'A=2')).toMatchObject({ revision: 2, isNew: true });
    writeFileSync(join(code(), 'main'), 'changed\n');
    expect(await add('-e', 'A=2')).toMatchObject({ revision: 3, isNew: true });
    const show = (at: string) => json<PackageDetails>('code', 'show', `${packageName()}${at}`);
    expect((await show('@rev:2')).layers).toEqual((await show('@rev:1')).layers);
    expect(await show('')).toMatchObject({ revision: 3, settings: { env: { A: '2' } } });
  });

  it('is told in one line', async () => {
    const added = await cli('code', 'add', packageName(), code());
    expect(added.stdout).toMatch(
      new RegExp(`^${packageName()}@rev:1 sha256:[0-9a-f]{64} added\n$`),
    );
    expect(added.stderr).toBe('');
    const again = await cli('code', 'add', packageName(), code());
    expect(again.stdout).toBe(added.stdout.replace('added', 'unchanged'));
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
    const plain = await cli('run', '--code', packageName());
    expect(plain).toMatchObject({ status: 0, stdout: 'of package kept\n' });
    const own = await cli(
      'run',
      '--code',
      packageName(),
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
      run(['--code', packageName()], sh('cat main made')),
      run(['--code', `${packageName()}@${first.image}`], sh('cat main made')),
    ]);
    expect(one.stdout).toMatch(/^code \d+\n[0-9a-f-]{36}\n$/);
    expect(two.stdout).toBe(one.stdout);
    expect(one.record?.build).toBeUndefined();
  });

  it('is found by its tenant alone', async () => {
    await add('--tenant', 'a');
    const ls = (...args: readonly string[]) =>
      json<readonly PackageSummary[]>('code', 'ls', ...args);
    expect((await ls('--tenant', 'a')).map((one) => one.name)).toEqual([packageName()]);
    expect((await ls()).map((one) => one.name)).not.toContain(packageName());
    const own = await run(['--code', packageName(), '--tenant', 'a'], ['cat', 'main']);
    expect(own.status).toBe(0);
    for (const options of [[], ['--tenant', 'b']]) {
      const other = await run(['--code', packageName(), ...options], ['cat', 'main']);
      expect(other.status).toBe(125);
      expect(other.stderr).toContain('[ERR_STACKSHIM_PACKAGE_NOT_FOUND]');
    }
  });
});

describe('revisions', () => {
  it('are listed, compared, rolled back and removed; a running task keeps its own', async () => {
    await add('-e', 'A=1');
    writeFileSync(join(code(), 'main'), 'second\n');
    writeFileSync(join(code(), 'new'), 'new\n');
    await add('-e', 'A=2', '-m', '64m');
    const diff = await json<PackageDiff>('code', 'diff', packageName());
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
    expect((await cli('code', 'diff', packageName(), '1', '2')).stdout).toContain(
      `${packageName()}: rev:1 -> rev:2\n`,
    );
    expect((await cli('code', 'rollback', packageName())).stdout).toBe(
      `${packageName()}: rev:2 -> rev:1\n`,
    );
    expect((await run(['--code', packageName()], ['cat', 'main'])).stdout).toBe(
      `code ${count()}\n`,
    );
    const history = await json<readonly PackageHistoryEntry[]>('code', 'history', packageName());
    expect(history.map(({ revision, isCurrent }) => [revision, isCurrent])).toEqual([
      [2, false],
      [1, true],
    ]);
    expect((await cli('code', 'rollback', packageName())).status).toBe(3);
    expect((await cli('code', 'rollback', packageName(), '--to', '2')).status).toBe(0);
    const task = start(
      ['--code', packageName()],
      sh('echo begun; until [ -e /task/go ]; do sleep 0.1; done; cat main'),
    );
    await task.printed('begun');
    expect((await cli('code', 'rm', packageName())).stdout).toBe(
      `${packageName()}: removed, revisions 1, 2\n`,
    );
    expect((await cli('gc')).status).toBe(0);
    const { stdout } = await cli('ps', '-q');
    const id = stdout.trim();
    expect((await cli('exec', id, '--', 'touch', '/task/go')).status).toBe(0);
    expect((await task.ended).stdout).toBe('begun\nsecond\n');
    expect((await cli('run', '--code', packageName(), 'busybox', 'true')).status).toBe(125);
    await add();
    expect(await json<PackageDetails>('code', 'show', packageName())).toMatchObject({
      revision: 3,
    });
  });
});

describe('collection', () => {
  it('keeps what packages need, and frees what they needed', async () => {
    await add('--stack', 'busybox', '--build', 'head -c 100000 /dev/urandom > made');
    await cli('gc');
    const kept = await json<Collection>('gc');
    expect(kept).toMatchObject({ images: [], layers: [], packages: [] });
    expect((await run(['--code', packageName()], ['cat', 'main'])).status).toBe(0);
    writeFileSync(join(code(), 'main'), 'second\n');
    await add();
    const usage = await json<DiskUsage>('df');
    expect(usage.packages.count).toBeGreaterThan(0);
    expect(usage.packages.bytes).toBeGreaterThan(100_000);
    const old = await json<Collection>('gc', '--keep-revisions', '0');
    expect(old.packages).toContainEqual({ name: packageName(), tenant: null, revision: 1 });
    expect(old.images.length).toBeGreaterThan(0);
    expect((await run(['--code', packageName()], ['cat', 'main'])).stdout).toBe('second\n');
    const verified = await json<Verification>('verify');
    expect(verified.damage).toEqual([]);
    expect(verified.packages).toBeGreaterThan(0);
  });

  it('stops at damage; verify names the package, and adding it again repairs its layers', async () => {
    await add('--tenant', 'a');
    const shown = await json<PackageDetails>('code', 'show', packageName(), '--tenant', 'a');
    const layer = `${installation.layout.root}/layers/${shown.layers[0]?.id}.erofs`;
    const file = `${installation.layout.root}/packages/a/${packageName()}/1.json`;
    const text = readFileSync(file);
    writeFileSync(file, '{');
    const verified = await cli('verify');
    expect(verified.status).toBe(1);
    expect(verified.stdout).toContain(
      `affects: code package ${packageName()}@rev:1 of tenant a (current)`,
    );
    expect((await run(['--code', packageName(), '--tenant', 'a'], ['true'])).stderr).toContain(
      '[ERR_STACKSHIM_PACKAGE_CORRUPT]',
    );
    expect((await cli('gc')).stderr).toContain('[ERR_STACKSHIM_PACKAGE_CORRUPT]');
    expect((await cli('code', 'ls', '--all')).stderr).toContain(
      `read code package ${packageName()}`,
    );
    writeFileSync(file, text);
    rmSync(layer);
    expect((await cli('verify')).status).toBe(1);
    expect(await add('--tenant', 'a')).toMatchObject({ revision: 1, isNew: false });
    expect((await cli('verify')).status).toBe(0);
    expect((await run(['--code', packageName(), '--tenant', 'a'], ['cat', 'main'])).status).toBe(0);
  });
});
