/**
 * A task that its own filesystem holds up in the kernel: it can neither be asked nor killed alone. Its timeout still ends it, and programs
 * that list, kill or reap tasks do not wait for it. Requires: root, gcc, FUSE.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir } from '../../src/core/layout.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { runCli, startCli } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { makeProbeImage } from '../support/programs/probe-image.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { releaseTraps } from './support/held-up.ts';

const { env, layout, options } = useInstallation();
const folder = mkdtempSync('/var/tmp/stackshim-stuck-');
const code = `${folder}/code`;

beforeAll(async () => {
  chmodSync(folder, 0o755);
  const image = await makeProbeImage(`${folder}/image`);
  mkdirSync(code, { mode: 0o755 });
  copyFileSync(image.program, `${code}/probe`);
  const policy = { allow: { bundles: ['default', 'fuse'] } };
  writeFileSync(layout.policyFile, JSON.stringify(policy), { mode: 0o644 });
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(({ task }) => {
  // Nothing else would end the tasks.
  if (task.result?.state === 'fail') releaseTraps('anybody');
});

const hang = ['/task/probe', 'fuse-hang', 'exec'];
let count = 0;

/** Runs it with the executable, and waits until it is held up. */
async function startStuck(...more: readonly string[]) {
  count += 1;
  const id = `stuck-${count}`;
  const given = ['--name', id, '--bundle', 'fuse', '--code', code, '--stop-timeout', '1s'];
  const started = startCli(['run', ...given, ...more, 'busybox', ...hang], { env });
  await started.printed('tried');
  return { id, ...started };
}

const listed = async (id: string) => {
  const { stdout } = await runCli(['ps', '--json'], { env });
  return JSON.parse(stdout).tasks.find((task: { id: string }) => task.id === id);
};

describe.each(['exec', 'exit', 'close', 'unmap'])('held up in %s', (place) => {
  it('a task ends at its timeout, and its process continues', async () => {
    const command = ['/task/probe', 'fuse-hang', place];
    let longest = 0;
    let last = performance.now();
    const ticks = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 10);
    const result = await runTask(
      { stack: 'busybox', bundle: 'fuse', code, command, timeout: '1s', stopTimeout: '500ms' },
      options,
    );
    clearInterval(ticks);
    expect(result).toMatchObject({ verdict: 'timed_out', removed: true, leftovers: [] });
    // Not a speed limit: a program that waits for the task would wait until it is killed, longer than its timeout.
    expect(longest).toBeLessThan(1_500);
  });
});

describe('in the user namespace of the host', () => {
  const served = `${folder}/served`;
  const file = `${served}/file`;
  const volumes = [`${served}:/served`];
  beforeAll(() => mkdirSync(served));

  /** As its last process may be the one that keeps its filesystem alive, the kernel does not end the task. */
  it.each(['exec', 'unmap'])(
    'a task that is held up in %s ends at its timeout, and a filesystem of the host goes on',
    async (place) => {
      const server = execFileSync(`${code}/probe`, ['fuse-serve', served]).toString().trim();
      try {
        const command = ['/task/probe', 'fuse-hang', place];
        const result = await runTask(
          {
            ...{ stack: 'busybox', bundle: 'fuse', userns: 'host', code, volumes, command },
            ...{ timeout: '1s', stopTimeout: '500ms' },
          },
          options,
        );
        expect(result).toMatchObject({ verdict: 'timed_out', removed: true, leftovers: [] });
        expect(readFileSync(file)).toEqual(Buffer.alloc(4096));
      } finally {
        linuxSystem.detachMount(served);
      }
      await waitUntil(() => !existsSync(`/proc/${server}`));
    },
  );
});

it('the executable ends with its task', async () => {
  const { ended } = await startStuck('--timeout', '1s');
  expect((await ended).status).toBe(124);
});

it('a task is listed, and doctor reports it', async () => {
  const { id, ended } = await startStuck();
  expect(await listed(id)).toMatchObject({ state: 'running' });
  await runCli(['doctor'], { env });
  expect((await runCli(['kill', '--stop-timeout', '0', id], { env })).status).toBe(0);
  expect((await ended).status).toBe(143);
});

describe.each(['exec', 'unmap'])('held up in %s', (place) => {
  it('a task is looked at, and its other processes answer', async () => {
    count += 1;
    const id = `asked-${count}`;
    const script = `sleep 999 & exec /task/probe fuse-hang ${place}`;
    const given = ['--name', id, '--bundle', 'fuse', '--code', code, '--stop-timeout', '1s'];
    const started = startCli(['run', ...given, 'busybox', 'sh', '-c', script], { env });
    await started.printed('tried');
    const { status, stdout } = await runCli(['top', '--json', id], { env });
    const table = await runCli(['top', id], { env });
    const look = await runCli(['stats', '--no-stream', '--json', id], { env });
    await runCli(['kill', '--stop-timeout', '0', id], { env });
    await started.ended;
    expect(status).toBe(0);
    const { processes } = JSON.parse(stdout);
    const commands = processes.map(({ command }: { command: unknown }) => command);
    expect(commands).toContainEqual(['sleep', '999']);
    // What the kernel makes wait differs between its versions.
    const [{ taskPid, name, command }] = processes;
    expect([taskPid, name === null || command === null]).toEqual([1, true]);
    expect(table.stdout).toMatch(/\n\d+ {3,}1 {3,}[^\n]*\?\]?\n/);
    expect(JSON.parse(look.stdout).tasks).toMatchObject([{ id, state: 'running' }]);
  });
});

it('a task that cannot be paused runs on, and can be killed', async () => {
  const { id, ended } = await startStuck();
  const { status, stderr } = await runCli(['pause', id], { env });
  // Where the kernel stops even such a process, the task is paused.
  if (status !== 0) {
    expect(status).toBe(4);
    expect(stderr).toContain('waits in the kernel and did not stop; the task runs on');
    expect(await listed(id)).toMatchObject({ state: 'running' });
  }
  expect((await runCli(['kill', '--stop-timeout', '0', id], { env })).status).toBe(0);
  await ended;
});

it('a task is still watched: it is ended for what its sockets hold', async () => {
  // Another process of the task starts once pid 1 is held up.
  const flood = 'sleep 1; exec /task/probe queue-connections 40000';
  const script = `(${flood}) & exec ${hang.join(' ')}`;
  const given = ['--bundle', 'fuse', '--code', code, '-m', '32m', '--timeout', '40s', '--json'];
  const command = ['run', ...given, '--ulimit', 'nofile=16384', 'busybox', 'sh', '-c', script];
  const { status, stdout } = await runCli(command, { env });
  expect([status, JSON.parse(stdout).verdict]).toEqual([137, 'oom_killed']);
});

it('a task is killed by another process, which first asks its owner', async () => {
  const { id, ended } = await startStuck();
  const { status, stdout } = await runCli(['kill', '--stop-timeout', '1s', id], { env });
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${id}\n` });
  await ended;
});

it('a task is reaped if its owner is dead', async () => {
  const { id, child, ended } = await startStuck();
  child.kill('SIGKILL');
  await ended;
  const { status, stdout } = await runCli(['reap', '--json'], { env });
  expect(status).toBe(0);
  expect(JSON.parse(stdout).reaped).toMatchObject([{ id, removed: true, leftovers: [] }]);
});

describe('a copy from a task whose root does not answer', () => {
  /** Calls stackshim with each of the lists of words, at the same time. */
  const ask = async (more: readonly string[], ...calls: ((id: string) => readonly string[])[]) => {
    count += 1;
    const id = `stuck-${count}`;
    const rights = ['--bundle', 'fuse', '--cap-add', 'SYS_CHROOT', '--stop-timeout', '0', ...more];
    const args = ['--name', id, ...rights, '--code', code, 'busybox'];
    const hanging = startCli(['run', ...args, '/task/probe', 'fuse-hang', 'root'], { env });
    try {
      await hanging.printed('tried');
      return await Promise.all(calls.map((toWords) => runCli(toWords(id), { env })));
    } finally {
      await runCli(['kill', '--stop-timeout', '0', id], { env });
      await hanging.ended;
    }
  };
  const copy = (id: string) => ['cp', `${id}:/etc`, folder];
  const complete = (id: string) => ['complete', '--', 'cp', `${id}:/etc/`];
  const conflict = expect.stringContaining('[ERR_STACKSHIM_TASK_CONFLICT]');

  it('is refused: the kernel does not ask the task', async () => {
    const [copied, completed] = await ask([], copy, complete);
    expect(copied).toMatchObject({ status: 4, stderr: conflict });
    expect(completed).toMatchObject({ status: 0, stdout: 'none\n' });
  });

  it('fails after a while in the user namespace of the host', async () => {
    const [copied, completed] = await ask(['--userns', 'host'], copy, complete);
    const said = 'did not answer within 10 s [ERR_STACKSHIM_OUTPUT_FAILED]';
    expect(copied).toMatchObject({ status: 1, stderr: expect.stringContaining(said) });
    // A shell that completes a path is told that there is none.
    expect(completed).toMatchObject({ status: 0, stdout: 'none\n' });
  });
});

const isGone = (id: string) => !existsSync(taskDir(layout, parseTaskId(id)));

/** Long enough to stop the owner before. */
const SOON = `${scaled(4_000)}ms`;

/** A read of the file may wait as long as the process lives. */
function isZombie(pid: number): boolean {
  const stat = spawnSync('timeout', ['-s', 'KILL', '1', 'cat', `/proc/${pid}/stat`], {
    encoding: 'utf8',
  });
  return /\) Z /.test(stat.stdout);
}

describe('a watching reap', () => {
  it('removes a task whose owner has died, and then other tasks', async () => {
    const watching = startCli(['reap', '--watch'], { env });
    const stuck = await startStuck();
    stuck.child.kill('SIGKILL');
    await stuck.ended;
    await watching.printed(`${stuck.id}\n`);
    const other = startCli(
      ['run', '--name', 'not-stuck', 'busybox', 'sh', '-c', 'echo on; exec sleep 3600'],
      { env },
    );
    await other.printed('on');
    other.child.kill('SIGKILL');
    await other.ended;
    await watching.printed('not-stuck\n');
    watching.child.kill('SIGTERM');
    expect(await watching.ended).toMatchObject({ status: 0, stderr: '' });
    expect([isGone(stuck.id), isGone('not-stuck')]).toEqual([true, true]);
  });

  it('ends a task whose owner is stopped at its timeout', async () => {
    const watching = startCli(['reap', '--watch'], { env });
    const { id, child, ended } = await startStuck('--timeout', SOON);
    const { pid } = await listed(id);
    child.kill('SIGSTOP');
    await waitUntil(() => isZombie(pid));
    child.kill('SIGCONT');
    expect((await ended).status).toBe(124);
    watching.child.kill('SIGTERM');
    expect(await watching.ended).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });
});

describe('a guard', () => {
  const script = fileURLToPath(new URL('../fixtures/run-held-up.mjs', import.meta.url));

  /** Runs a task that is held up, under a guard, from a process of its own. */
  async function startGuarded(id: string, timeout: string) {
    const task = { stack: 'busybox', id, bundle: 'fuse', code, command: hang, timeout };
    const given = JSON.stringify({ task, guard: true, stops: true, moreMs: 0 });
    const owner = spawn(process.execPath, [script, given], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: owner.stdout })[Symbol.asyncIterator]();
    const line = async () => String((await lines.next()).value);
    const closed = once(owner, 'close');
    const pid = Number(/^task (\d+)$/.exec(await line())?.[1]);
    return { owner, pid, line, closed };
  }

  it('removes a task whose owner has died', async () => {
    const { owner, closed } = await startGuarded('stuck-guarded', '1h');
    owner.kill('SIGKILL');
    await closed;
    await waitUntil(() => isGone('stuck-guarded'));
  });

  it('ends a task whose owner is stopped at its timeout', async () => {
    const { owner, pid, line, closed } = await startGuarded('stuck-held', SOON);
    owner.kill('SIGSTOP');
    await waitUntil(() => isZombie(pid));
    owner.kill('SIGCONT');
    const result = JSON.parse(await line());
    expect(result).toMatchObject({ verdict: 'timed_out', removed: true, leftovers: [] });
    await closed;
  });
});
