/** The cache of build steps: shared by concurrent tasks, checked, bounded, collected. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BuildReport } from '../../src/task/result.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { BUILT_FILES, buildOf, useBuildRunner } from './support/build-runner.ts';

const runner = useBuildRunner();
const { installation, folder, setPolicy, built, code, nameOf, runBuilt, filesOf } = runner;
const { env, layout } = installation;

describe('tasks of the same content at the same time', () => {
  it('build once', async () => {
    const build = 'cat /proc/sys/kernel/random/uuid > made; sleep 1';
    const all = await Promise.all(
      Array.from({ length: 5 }, () => runBuilt(build, ['cat', 'made'])),
    );
    expect(new Set(all.map(({ stdout }) => stdout)).size).toBe(1);
    expect(all.map((one) => buildOf(one)?.cached).sort()).toEqual([false, true, true, true, true]);
    expect(all.every(({ record }) => record?.removed)).toBe(true);
  });

  it('fail once', async () => {
    const build = 'sleep 1; echo no; exit 9';
    const all = await Promise.all(Array.from({ length: 4 }, () => runBuilt(build)));
    expect(all.map(({ record }) => record?.verdict)).toEqual(Array(4).fill('build_failed'));
    const reports = all.map((one) => buildOf(one));
    expect(reports.map((one) => [one?.exitCode, one?.logTail])).toEqual(Array(4).fill([9, 'no']));
    expect(reports.filter((one) => one?.cached === false).length).toBeLessThanOrEqual(2);
  });
});

describe('the cache', () => {
  const build = 'head -c 300000 /dev/urandom > made';

  it('is damaged: the build step runs again', async () => {
    for (const part of ['task.erofs', 'code.erofs', 'json']) {
      const key = buildOf(await runBuilt(build))?.key;
      const path = `${built}/${key}.${part}`;
      chmodSync(path, 0o600);
      const bytes = readFileSync(path);
      bytes.write('damage', Math.floor(bytes.length / 2));
      writeFileSync(path, bytes);
      const verified = await runCli(['verify'], { env });
      expect(verified.status).toBe(1);
      expect(verified.stdout).toContain(`build: read cached build ${path}`);
      const again = await runBuilt(build, ['wc', '-c', 'made']);
      expect(again.stdout).toBe('300000 made\n');
      expect(buildOf(again)).toMatchObject({ key, cached: false });
      expect((await runCli(['verify'], { env })).status).toBe(0);
    }
  });

  it('is shown by df, and collected by age and size, but not while a task uses it', async () => {
    const first = buildOf(await runBuilt(build))?.key;
    writeFileSync(join(code(), 'main'), 'second\n');
    const second = buildOf(await runBuilt(build))?.key;
    const df = JSON.parse((await runCli(['df', '--json'], { env })).stdout);
    expect(df.builds.count).toBeGreaterThanOrEqual(2);
    expect(df.builds.bytes).toBeGreaterThan(600_000);
    const using = runner.start(
      ['--code', code(), '--build', build, '--name', nameOf('using')],
      ['sleep', '1000'],
    );
    await waitUntil(() => existsSync(`${layout.run}/tasks/${nameOf('using')}/limit`));
    setPolicy({ builds: { cache: 0 } });
    const dry = JSON.parse((await runCli(['gc', '--dry-run', '--json'], { env })).stdout);
    const collected = JSON.parse((await runCli(['gc', '--json'], { env })).stdout);
    const keys = collected.builds.map(({ key }: { key: string }) => key);
    expect(dry.builds).toEqual(collected.builds);
    expect(keys).toContain(first);
    expect(keys).not.toContain(second);
    expect([filesOf(first), filesOf(second)]).toEqual([[], BUILT_FILES]);
    await runCli(['kill', nameOf('using')], { env });
    await using.ended;
    await runCli(['gc'], { env });
    expect(readdirSync(built)).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`${layout.run}/built/`);
  });

  it('keeps what was used last when a build step makes it too large', async () => {
    writeFileSync(join(code(), 'main'), 'first\n');
    const old = buildOf(await runBuilt(build))?.key;
    writeFileSync(join(code(), 'main'), 'used\n');
    const used = buildOf(await runBuilt(build))?.key;
    writeFileSync(join(code(), 'main'), 'first\n');
    expect(buildOf(await runBuilt(build))).toMatchObject({ key: old, cached: true });
    setPolicy({ builds: { cache: '900k' } });
    writeFileSync(join(code(), 'main'), 'third\n');
    const third = buildOf(await runBuilt(build))?.key;
    expect([old, used, third].map((key) => filesOf(key).length)).toEqual([5, 0, 5]);
  });

  it('is not shared between tenants, nor with tasks without one', async () => {
    const results: (BuildReport | undefined)[] = [];
    for (const options of [[], ['--tenant', 'acme'], ['--tenant', 'other']]) {
      results.push(buildOf(await runBuilt(build, ['true'], options)));
    }
    expect(results.map((one) => one?.cached)).toEqual([false, false, false]);
    expect(new Set(results.map((one) => one?.key)).size).toBe(3);
  });
});

describe('bad input', () => {
  it.each([
    [['--build', ''], 'empty'],
    [['--build', 'true', '--build-timeout', '0s'], '--build-timeout'],
    [['--build', 'true', '--build-memory', '1k'], '--build-memory'],
    [['--build', 'true', '--build-disk', '1k'], '--build-disk'],
    [['--build', 'true', '--build-network', 'bridge'], '--build-network'],
  ])('%j is refused', async (options, text) => {
    const refused = await runner.run(options, ['true']);
    expect(refused.status).toBe(125);
    expect(refused.stderr).toContain(text);
  });

  it('a maximum of tasks bounds a build step, too', async () => {
    setPolicy({ maxima: { memory: '128m' } });
    const denied = await runBuilt('true', ['true'], ['--build-memory', '256m']);
    expect(denied.stderr).toContain('ERR_STACKSHIM_SPEC_DENIED');
    expect((await runBuilt('echo $TASK_MEMORY > made', ['cat', 'made'])).stdout).toBe(
      '134217728\n',
    );
  });

  it('a link in place of the folder of the cache or of a file in it is not followed', async () => {
    const key = buildOf(await runBuilt('echo x > made'))?.key;
    const path = `${built}/${key}.json`;
    const elsewhere = join(folder, 'elsewhere.json');
    writeFileSync(elsewhere, readFileSync(path));
    execFileSync('rm', [path]);
    symlinkSync(elsewhere, path);
    const again = await runBuilt('echo x > made', ['cat', 'made']);
    expect(again).toMatchObject({ stdout: 'x\n', record: { build: { cached: false } } });
  });
});
