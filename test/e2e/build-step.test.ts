/** `run --build`: the command that prepares /task runs once for each content; later tasks get what it left. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { taskCgroup } from '../../src/cgroup/cgroup-names.ts';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { parseTaskId } from '../../src/core/ids.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN } from '../support/cli/task-runner.ts';
import { makeGate, realRunc, writeFakeRuntime } from '../support/runtimes/fake-runtime.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { BUILT_FILES, buildOf, useBuildRunner } from './support/build-runner.ts';

const runner = useBuildRunner();
const { installation, folder, setPolicy, built, code, nameOf, runBuilt, filesOf } = runner;
const { env } = installation;

describe('a build step', () => {
  it('runs once; later tasks get what it left, and their own changes stay their own', async () => {
    const build = 'cat /proc/sys/kernel/random/uuid > made; echo built';
    const command = sh('cat main made data/old; echo mine >> made; rm main; ls');
    const first = await runBuilt(build, command);
    const second = await runBuilt(build, command);
    expect(first.status).toBe(0);
    expect(first.stdout).toMatch(/^code \d+\n[0-9a-f-]{36}\nold\ndata\nmade\n$/);
    expect(second.stdout).toBe(first.stdout);
    expect(first.stderr).toBe('');
    const key = buildOf(first)?.key;
    const report = { key, verdict: 'succeeded', exitCode: 0, signal: null, logTail: '' };
    const log = `${built}/${key}.log`;
    expect(first.record).toMatchObject({
      ...{ ...CLEAN, verdict: 'succeeded', retryable: false, error: null },
      build: { ...report, cached: false, log },
    });
    expect(second.record).toMatchObject({ ...CLEAN, build: { ...report, cached: true, log } });
    expect(readFileSync(log, 'utf8')).toBe('built\n');
    expect(filesOf(key)).toEqual(BUILT_FILES);
  });

  it('sees the code, its own environment and no input of the task', async () => {
    const build =
      'pwd; id -u; echo "$TASK_DIR $TASK_MEMORY $TASK_TIMEOUT [$SECRET] [$PAYLOAD_FILE]"; ls';
    const options = ['-e', 'SECRET=s', '--payload', 'p', '--build-memory', '64m'];
    const ran = await runBuilt(build, sh('echo $SECRET'), [...options, '--build-timeout', '90s']);
    expect(ran.stdout).toBe('s\n');
    const log = readFileSync(buildOf(ran)?.log ?? '', 'utf8');
    expect(log).toBe('/task\n0\n/task 67108864 90 [] []\ndata\nmain\n');
  });

  it('deletes, replaces and links what the code has', async () => {
    const build = [
      'rm main; rm -r data; mkdir data; echo new > data/new; ln -s data/new link; ln data/new hard',
      'chmod 700 data/new; mkdir empty; mkfifo pipe; mkdir -m 2770 shared; chown 1000:1000 shared',
    ].join('; ');
    const look = sh(
      'ls -A . data; cat link hard; stat -c "%a %u %h" data/new shared; test -p pipe',
    );
    const first = await runBuilt(build, look);
    const second = await runBuilt(build, look);
    const listed = '.:\ndata\nempty\nhard\nlink\npipe\nshared\n\ndata:\nnew\n';
    expect(first.stdout).toBe(`${listed}new\nnew\n700 0 2\n2770 1000 2\n`);
    expect(second.stdout).toBe(first.stdout);
    expect([first.status, second.status]).toEqual([0, 0]);
  });

  it('keeps neither setuid bits nor devices nor file capabilities', async () => {
    const build = 'cp /bin/busybox tool; chmod 6755 tool; mknod null c 1 3; true';
    const ran = await runBuilt(build, sh('stat -c %a tool; ls'));
    expect(ran.stdout).toBe('755\ndata\nmain\ntool\n');
  });

  it('leaves nothing outside of /task', async () => {
    const build = 'echo x > /root/made; echo x > /tmp/made; echo x > made';
    await runBuilt(build);
    const ran = await runBuilt(build, sh('ls /root /tmp made'));
    expect(ran.stdout).toBe('made\n\n/root:\n\n/tmp:\n');
  });

  it('may be a list, and needs no code', async () => {
    const ran = await runner.run(['--build', 'echo x > made'], sh('pwd; ls'));
    expect(ran.stdout).toBe('/task\nmade\n');
    expect(ran.record?.verdict).toBe('succeeded');
  });

  it('has no network and no binds unless asked', async () => {
    const build = 'ls /mnt/bound; ls /sys/class/net';
    const options = ['-v', `${folder}:/mnt/bound:ro`];
    const ran = await runBuilt(`${build}; true`, sh('ls -d /mnt/bound/.'), options);
    expect(ran.stdout).toBe('/mnt/bound/.\n');
    expect(readFileSync(buildOf(ran)?.log ?? '', 'utf8')).toContain('/mnt/bound: No such file');
    setPolicy({ allow: { networks: ['none'] } });
    const denied = await runBuilt('true', ['true'], ['--build-network', 'host']);
    expect(denied.status).toBe(125);
    expect(denied.stderr).toContain('--build-network');
    expect(denied.stderr).toContain('ERR_STACKSHIM_SPEC_DENIED');
  });
});

describe('the key of a build', () => {
  const keyOf = async (options: readonly string[] = [], build = 'echo x > made') =>
    buildOf(await runBuilt(build, ['true'], options))?.key;

  it('differs with the code, the command, the user, the tenant and rights', async () => {
    const first = await keyOf();
    const others = [
      await keyOf([], 'echo y > made'),
      await keyOf(['--user', '0:50']),
      await keyOf(['--tenant', 'acme']),
      await keyOf(['--tenant', 'other']),
      await keyOf(['--cap-drop', 'CHOWN']),
      await keyOf(['--read-only', '--tmpfs', '/tmp']),
    ];
    writeFileSync(join(code(), 'main'), 'other code\n');
    others.push(await keyOf());
    chmodSync(join(code(), 'main'), 0o755);
    others.push(await keyOf());
    expect(new Set([first, ...others]).size).toBe(others.length + 1);
  });

  it('does not differ with times, limits, environment and labels', async () => {
    const first = await keyOf();
    utimesSync(join(code(), 'main'), 1, 1);
    const others = [
      await keyOf(),
      await keyOf(['-e', 'A=1', '-m', '32m', '--timeout', '5s', '--label', 'a=b']),
      await keyOf(['--build-memory', '1g', '--build-disk', '1g', '--name', nameOf('named')]),
    ];
    expect(others).toEqual([first, first, first]);
  });

  it('is the same for a folder and for its archive', async () => {
    const first = await keyOf();
    const archive = join(folder, nameOf('code.tar.gz'));
    execFileSync('tar', ['-czf', archive, '--sort=name', '--owner=7', '-C', code(), '.']);
    const options = ['--code', archive, '--build', 'echo x > made'];
    expect((await runner.run(options, ['true'])).record?.build).toMatchObject({
      key: first,
      cached: true,
    });
  });
});

describe('a build step that fails', () => {
  it('gives a verdict of its own, with its exit status and the end of its log', async () => {
    const failed = await runBuilt('echo compiling; echo "bad: line 3" >&2; exit 3', sh('echo ran'));
    expect(failed).toMatchObject({ status: 125, stdout: '' });
    const key = buildOf(failed)?.key;
    expect(failed.record).toMatchObject({
      ...{ ...CLEAN, verdict: 'build_failed', exitCode: null, signal: null, retryable: false },
      error: { code: 'ERR_STACKSHIM_TASK_BUILD_FAILED', kind: 'invalid' },
      build: {
        ...{ key, cached: false, verdict: 'failed', exitCode: 3, signal: null },
        ...{ log: `${built}/${key}.log`, logTail: 'compiling\nbad: line 3' },
      },
    });
    expect(failed.stderr).toContain(`exit status 3; its log is ${built}/${key}.log`);
    expect(failed.stderr).toContain('  compiling\n  bad: line 3\n');
    expect(filesOf(key)).toEqual(['json', 'lock', 'log']);
  });

  it('is run again by the next task', async () => {
    const build = 'test -e good; echo built > made';
    expect((await runBuilt(`set -e; ${build}`)).record?.verdict).toBe('build_failed');
    expect(buildOf(await runBuilt(`set -e; ${build}`))).toMatchObject({
      cached: false,
      exitCode: 1,
    });
  });

  it.each([
    ['a hang', 'sleep 1000', ['--build-timeout', '300ms'], ['timed_out', 'timed out after 300ms']],
    [
      'too much memory',
      'tail /dev/zero',
      ['--build-memory', '16m'],
      ['oom_killed', 'out of memory'],
    ],
    [
      'a full disk',
      'dd if=/dev/zero of=big bs=1M count=100',
      ['--build-disk', '16m'],
      ['disk_full', 'its disk space was full at 16m (--build-disk)'],
    ],
    ['a missing program', 'exec no-such-program', [], ['failed', 'exit status 127']],
  ])('%s ends it', async (_, build, options, [verdict, reason]) => {
    const failed = await runBuilt(build, ['true'], options);
    expect(failed.record).toMatchObject({
      ...{ ...CLEAN, verdict: 'build_failed', retryable: false },
      build: { verdict },
    });
    expect(failed.record?.error?.message).toContain(reason);
  });

  it.each([
    ['a name that deletes others', 'touch .wh.main'],
    ['a sparse file larger than its disk', 'truncate -s 3g huge'],
  ])('%s cannot be kept', async (_, build) => {
    const failed = await runBuilt(build);
    expect(failed.record).toMatchObject({ ...CLEAN, verdict: 'build_failed', retryable: false });
  });

  it('may be killed by itself, even while its container is created', async () => {
    const gate = makeGate(folder, nameOf('gate'));
    const runtime = join(folder, nameOf('runtime'));
    writeFakeRuntime(runtime, { real: realRunc(installation.layout), afterCreate: gate.stop });
    setPolicy({ allow: { runtimes: ['runc', runtime] } });
    const started = runner.start(
      ['--code', code(), '--build', 'true', '--runtime', runtime, '--name', nameOf('waiting')],
      ['true'],
    );
    await gate.reached();
    const { stdout } = await runCli(['ps', '--json'], { env });
    const tasks: readonly { id: string; labels: Record<string, string> }[] =
      JSON.parse(stdout).tasks;
    const id = tasks.find(({ labels }) => 'stackshim.build-for' in labels)?.id ?? '';
    const killing = runCli(['kill', id], { env });
    const path = taskCgroup(installation.layout, parseTaskId(id));
    await waitUntil(() => openCgroupDriver().listProcesses(path).length === 0);
    await gate.open();
    expect((await killing).status).toBe(0);
    expect((await started.ended).record).toMatchObject({
      ...{ ...CLEAN, verdict: 'build_failed', retryable: false },
      error: { code: 'ERR_STACKSHIM_TASK_BUILD_FAILED' },
      build: { verdict: 'cancelled', exitCode: null },
    });
  });

  it('ends with the task that is killed, or whose time is over', async () => {
    const started = runner.start(
      ['--code', code(), '--build', 'sleep 1000', '--name', nameOf('waiting')],
      ['true'],
    );
    const list = async (): Promise<readonly { labels: Record<string, string> }[]> =>
      JSON.parse((await runCli(['ps', '--json'], { env })).stdout).tasks;
    await waitUntil(async () =>
      (await list()).some(({ labels }) => 'stackshim.build-for' in labels),
    );
    const killed = await runCli(['kill', nameOf('waiting')], { env });
    expect(killed.status).toBe(0);
    const { record } = await started.ended;
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', error: null });
    expect(await list()).toEqual([]);
  });
});

it('whose owner is killed leaves two orphans, and its lock to the next task', async () => {
  const build = 'sleep $(cat /task/seconds); echo x > made';
  writeFileSync(join(code(), 'seconds'), '1000');
  const options = ['--code', code(), '--build', build, '--name', nameOf('owned')];
  const started = runner.start(options, ['true']);
  const list = async (): Promise<readonly { id: string; pid: number | null }[]> =>
    JSON.parse((await runCli(['ps', '--json'], { env })).stdout).tasks;
  await waitUntil(async () => (await list()).filter(({ pid }) => pid !== null).length === 1);
  started.child.kill('SIGKILL');
  await started.ended;
  const waiting = runner.start(
    ['--code', code(), '--build', build, '--build-timeout', '1s'],
    ['true'],
  );
  expect((await waiting.ended).record).toMatchObject({
    ...{ ...CLEAN, verdict: 'build_failed' },
    build: { verdict: 'timed_out' },
  });
  const { stdout } = await runCli(['reap', '--json'], { env });
  expect(JSON.parse(stdout).reaped).toHaveLength(2);
  expect(await list()).toEqual([]);
});
