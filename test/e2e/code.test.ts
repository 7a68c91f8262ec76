/** Code packages: added once, with revisions and settings, per tenant; their tasks find them mounted at /task. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AddedPackage } from '../../src/exchange/code-packages/add-package.ts';
import type { PackageDetails, PackageSummary } from '../../src/store/packages/list-packages.ts';
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
  const [command = '', ...rest] = args;
  const ran = await cli(group, command, '--json', ...rest);
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
