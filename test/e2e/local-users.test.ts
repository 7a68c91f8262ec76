/**
 * What another local user of the host can reach while a task is set up, runs and is kept, and what the user can do in advance.
 * Requires: root, setpriv, unshare.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { FIRST_SLOT_ID, IDS_PER_SLOT, isReservedId } from '../../src/core/host-ids.ts';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { AS_STRANGER } from '../support/programs/stranger.ts';
import { writeFakeRuntime } from '../support/runtimes/fake-runtime.ts';
import { runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';

const { installation, run, start, folder, setPolicy } = useTaskRunner();
const { layout, env } = installation;
const runtimes = runtimesUnderTest(folder);
const DEVICE = '/dev/loop-control';

const STRANGER = AS_STRANGER.join(' ');

/** Folders below a task's folder during set-up. */
const PLACES = [
  ...['.', 'record.json', 'bundle', 'bundle/config.json', 'log.json', 'pid', 'tty'],
  ...['rootfs', 'rootfs/bin/busybox', 'code', 'code/program', 'binds', 'binds/0', 'devices/0'],
  ...['dev', 'dev/null'],
];

/** A runtime that lets a stranger try each path when everything of a task is mounted. */
function watchedRuntime(name: string, { id, real }: { id: string; real: string }): string {
  const path = join(folder, name);
  const dir = `${layout.run}/tasks/${id}`;
  const tries = `cd /; for place in ${PLACES.join(' ')}; do ls -d ${dir}/$place; done`;
  const afterCreate = [
    `stat -c '%a %u %g' ${dir} > ${path}.mode`,
    `${STRANGER} sh -c '${tries}' > ${path}.reached 2> /dev/null`,
    `grep ' ${dir}/' /proc/self/mountinfo > ${path}.mounts`,
  ].join('\n');
  writeFakeRuntime(path, { real, afterCreate });
  setPolicy({ allow: { devices: [DEVICE], runtimes: ['runc', path] } });
  return path;
}

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);
const code = join(folder, 'code');
const shared = join(folder, 'shared');

beforeEach(() => {
  setPolicy(null);
  for (const path of [code, shared]) mkdirSync(path, { recursive: true });
  writeFileSync(join(code, 'program'), 'true\n');
});

describe.each(runtimes)('with $name', ({ name, path: real }) => {
  it.each(['auto', 'host'])(
    'no other user can reach a task with --userns %s while it is set up',
    async (userns) => {
      const id = `watched-${userns}-${runtimes.findIndex((one) => one.name === name)}`;
      const runtime = watchedRuntime(id, { id, real });
      const given = [
        '--code',
        code,
        '--payload',
        'text',
        '-v',
        `${shared}:/shared`,
        '--device',
        DEVICE,
      ];
      const options = ['--name', id, '--userns', userns, '--runtime', runtime, '-t', ...given];
      const script = `cat $PAYLOAD_FILE; ls /task /shared; : < ${DEVICE}`;
      const { record } = await run(options, sh(script));
      expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded', exitCode: 0 });
      expect(readFileSync(`${runtime}.reached`, 'utf8')).toBe('');
      const [mode, owner, group] = readFileSync(`${runtime}.mode`, 'utf8').trim().split(' ');
      expect([mode, owner]).toEqual([userns === 'host' ? '700' : '710', '0']);
      if (userns === 'auto') expect((Number(group) - FIRST_SLOT_ID) % IDS_PER_SLOT).toBe(0);
      expect(isReservedId(Number(group))).toBe(userns === 'auto');
    },
  );

  it('the mounts of a task give other users no rights', async () => {
    const id = `mounted-${runtimes.findIndex((one) => one.name === name)}`;
    const runtime = watchedRuntime(id, { id, real });
    const given = ['--code', code, '-v', `${shared}:/shared`, '--device', DEVICE];
    await run(['--name', id, '--runtime', runtime, ...given], ['true']);
    const mounts = readFileSync(`${runtime}.mounts`, 'utf8').trimEnd().split('\n');
    const options = mounts.map((line) => line.split(' ')).map((line) => [line[4], line[5]]);
    expect(options.length).toBeGreaterThanOrEqual(5);
    for (const [target, set] of options) {
      expect(set?.split(',')).toContain('nosuid');
      const hasNodes = /\/(?:dev|devices)$/.test(target ?? '');
      expect(set?.split(',')).toContain(hasNodes ? 'noexec' : 'nodev');
    }
  });
});

describe('the folders of a task', () => {
  it('belong to root while the task runs and while it is kept', async () => {
    const task = start(['--name', 'kept', '--keep'], sh('echo ready; read -r _; exit 0'));
    await task.printed('ready');
    const places = [join(layout.run, 'tasks/kept'), join(layout.root, 'scratch/kept')];
    expect(modeOf(places[0] ?? '')).toBe('700');
    await task.ended;
    expect(places.map(modeOf)).toEqual(['700', '700']);
    expect((await runCli(['kill', 'kept'], { env })).status).toBe(0);
  });

  it('lie beside layers that other users cannot reach', async () => {
    expect((await run([], ['true'])).status).toBe(0);
    expect(modeOf(join(layout.run, 'layers'))).toBe('700');
  });

  it('hold no mount point on the host while the task runs', async () => {
    const task = start(['--name', 'bare', '--code', code], sh('echo ready; exec sleep 3600'));
    await task.printed('ready');
    const left = execFileSync('ls', [join(layout.run, 'tasks/bare')], { encoding: 'utf8' });
    expect(
      left
        .trim()
        .split('\n')
        .filter((name) => /^(rootfs|code|devices)$/.test(name)),
    ).toEqual([]);
    task.child.kill('SIGTERM');
    expect((await task.ended).record).toMatchObject(CLEAN);
  });
});

describe('a setuid program of the image', () => {
  const script = "sed -n 's/^[^ ]* \\/ overlay //p' /proc/self/mounts";

  it.each([
    ['nothing', [], true],
    ['what it says where new privileges are asked for', ['no-new-privileges=false'], false],
  ])('gives its caller %s', async (_, options, isWithout) => {
    const security = options.flatMap((option) => ['--security-opt', option]);
    const { stdout } = await run(security, sh(script));
    expect(stdout).toContain('nodev');
    expect(stdout.includes('nosuid')).toBe(isWithout);
  });
});

describe('the locks of slots', () => {
  it('work even if another user was in /run/lock first', () => {
    const argv = [STACKSHIM, 'run', 'busybox', 'echo', 'has run'].join(' ');
    const script = `mount -t tmpfs -o mode=1777 tmpfs /run/lock
      ${STRANGER} mkdir -m 700 /run/lock/stackshim || exit 9
      exec ${argv}`;
    const own = ['--mount', '--propagation', 'private', 'sh', '-c', script];
    const stdout = execFileSync('unshare', own, {
      env: { ...process.env, ...env },
      encoding: 'utf8',
    });
    expect(stdout).toBe('has run\n');
  });

  it('lie in a folder of root that no other user can create first', async () => {
    expect((await run([], ['true'])).status).toBe(0);
    const { uid, mode } = statSync(layout.slots);
    expect([uid, (mode & 0o777).toString(8)]).toEqual([0, '700']);
    const parent = statSync(join(layout.slots, '..'));
    expect([parent.uid, parent.mode & 0o022]).toEqual([0, 0]);
  });
});
