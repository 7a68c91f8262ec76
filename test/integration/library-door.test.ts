/**
 * `openStackshim`: the library's access to an installation, and the handle of a running task.
 * Requires: root, runc, mkfs.erofs, busybox, and `npm run build`.
 */
import { once } from 'node:events';
import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { taskDir } from '../../src/core/layout.ts';
import {
  openStackshim,
  runTask,
  type TaskEvent,
  type TaskHandle,
  type TaskInput,
} from '../../src/index.ts';
import { startCli } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';

const installation = useInstallation();
const { layout, options, env } = installation;
const stackshim = openStackshim(options);

const GONE = { removed: true, leftovers: [] };
const POLITE = 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.02; done';
const STUBBORN = 'trap "echo no" TERM; echo ready; while :; do sleep 0.02; done';
const task = (script: string, more: Partial<TaskInput> = {}): TaskInput => ({
  stack: 'busybox',
  command: ['sh', '-c', script],
  ...more,
});

/** Reads events up to the first output; a second loop continues there. */
async function untilOutput({ events }: TaskHandle): Promise<void> {
  for await (const event of events) if (event.type === 'output') return;
  throw new Error('ended without output');
}

async function typesOf({ events }: TaskHandle): Promise<readonly TaskEvent['type'][]> {
  const types: TaskEvent['type'][] = [];
  for await (const { type } of events) types.push(type);
  return types;
}

/** Starts a task in another process, and waits until it has printed `ready`. */
async function startOther(id: string, script: string, more: readonly string[] = []) {
  const args = ['run', '--name', id, ...more, 'busybox', 'sh', '-c', script];
  const other = startCli(args, { env });
  await other.printed('ready');
  return other;
}

describe('a handle', () => {
  it('has the id, the events in order, and the result', async () => {
    const handle = await stackshim.start(task('echo one', { id: 'followed' }));
    expect(handle.id).toBe('followed');
    expect(await typesOf(handle)).toEqual([
      ...['accepted', 'created', 'started', 'output', 'exited', 'removed', 'finished'],
    ]);
    expect(await handle.result).toMatchObject({ ...GONE, verdict: 'succeeded', exitCode: 0 });
    expect((await handle.result).output.stdout).toBe('one\n');
  });

  it('reports an asynchronous removal as its last event', async () => {
    const handle = await stackshim.start(task('true', { remove: 'async' }));
    const types = await typesOf(handle);
    expect(types.slice(-2)).toEqual(['finished', 'removed']);
    expect((await handle.result).removed).toBe(false);
    expect(existsSync(taskDir(layout, handle.id))).toBe(false);
  });

  it('stops the task with its stop signal', async () => {
    const handle = await stackshim.start(task(POLITE, { stopTimeout: '1h' }));
    await untilOutput(handle);
    const result = await handle.stop();
    expect(result).toMatchObject({ ...GONE, verdict: 'cancelled', exitCode: 3, signal: null });
    const types = (await typesOf(handle)).filter((type) => type !== 'output');
    expect(types).toEqual(['stopping', 'exited', 'removed', 'finished']);
    expect(await handle.stop()).toBe(result);
  });

  it('stops the task with KILL once its stop timeout has passed', async () => {
    const handle = await stackshim.start(task(STUBBORN, { stopTimeout: '200ms' }));
    await untilOutput(handle);
    expect(await handle.stop()).toMatchObject({ verdict: 'cancelled', signal: 'SIGKILL' });
  });

  it('kills the task at once', async () => {
    const handle = await stackshim.start(task(STUBBORN, { stopTimeout: '1h' }));
    await untilOutput(handle);
    expect(await handle.kill()).toMatchObject({ ...GONE, verdict: 'cancelled', signal: 'SIGKILL' });
  });

  it('leaves no listeners on the caller’s signals', async () => {
    const stop = new AbortController();
    const handle = await stackshim.start(task(POLITE, { stopTimeout: '1h' }), {
      signal: stop.signal,
    });
    await untilOutput(handle);
    stop.abort();
    expect(await handle.result).toMatchObject({ verdict: 'cancelled', exitCode: 3 });
    const later = new AbortController();
    const other = await stackshim.start(task('true'), { signal: later.signal });
    await typesOf(other);
    later.abort();
    expect(await other.result).toMatchObject({ verdict: 'succeeded' });
  });

  it('does not slow a task whose events nobody reads, and counts the events that it dropped', async () => {
    const bytes = 8 * 1024 * 1024;
    const handle = await stackshim.start(task(`head -c ${bytes} /dev/zero`), { capture: false });
    expect(await handle.result).toMatchObject({ verdict: 'succeeded' });
    let seen = 0;
    const types = new Set<string>();
    for await (const event of handle.events) {
      types.add(event.type);
      if (event.type === 'output') seen += event.chunk.length;
    }
    expect(seen).toBeLessThanOrEqual(1024 * 1024);
    expect(seen + handle.events.lostBytes).toBe(bytes);
    expect([...types]).toEqual(expect.arrayContaining(['exited', 'removed', 'finished']));
  });

  it('calls onEvent as well, and ignores what it throws', async () => {
    const told: string[] = [];
    const warned = once(process, 'warning');
    const handle = await stackshim.start(task('true'), {
      onEvent({ type }) {
        told.push(type);
        if (type === 'accepted') throw new Error('a mistake of the caller');
      },
    });
    expect(await typesOf(handle)).toEqual(told);
    expect(String(await warned)).toContain('a mistake of the caller');
  });

  it('is not returned if the task cannot begin: start rejects as run does, and no rejection is unhandled', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    try {
      await expect(stackshim.start({ stack: 'no-such-stack' })).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
      });
      const aborted = { signal: AbortSignal.abort() };
      await expect(stackshim.start(task('true'), aborted)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_TASK_ABORTED',
      });
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('unhandledRejection', note);
    }
    expect(unhandled).toEqual([]);
  });
});

describe('tasks of other processes', () => {
  it('can be listed, found, waited for and ended', async () => {
    const other = await startOther('of-another', POLITE);
    const found = await stackshim.get('of-another');
    expect(found).toMatchObject({ state: 'running', stack: 'busybox', ownerPid: other.child.pid });
    expect((await stackshim.list()).tasks).toEqual([found]);
    const waiting = stackshim.wait('of-another');
    expect(await stackshim.kill('of-another', { stopTimeout: '1h' })).toEqual(GONE);
    expect(await waiting).toMatchObject({ id: 'of-another', state: 'removed', result: null });
    expect((await other.ended).stdout).toBe('ready\nbye\n');
    expect(await stackshim.get('of-another')).toBeUndefined();
  });

  it('that are kept count as ended, and kill removes them', async () => {
    const other = await startOther('kept', 'echo ready; sleep 0.1', ['--keep']);
    expect(await stackshim.wait('kept')).toMatchObject({
      ...{ id: 'kept', state: 'kept', result: null },
      exit: { exitCode: 0, signal: null },
    });
    expect((await other.ended).status).toBe(0);
    expect(await stackshim.kill('kept')).toEqual(GONE);
  });

  it('end for their waiters when their owner dies, and are reaped', async () => {
    const other = await startOther('left', 'echo ready; exec sleep 1000');
    const waiting = stackshim.wait('left');
    other.child.kill('SIGKILL');
    expect(await waiting).toEqual({ id: 'left', state: 'orphaned', result: null, exit: null });
    expect(await stackshim.reap({ afterOwnerOf: 'left' })).toMatchObject({
      reaped: [{ id: 'left', ...GONE }],
      corrupt: [],
    });
  });

  it('are waited for only as long as the caller allows', async () => {
    const other = await startOther('long', 'echo ready; exec sleep 1000');
    const stop = new AbortController();
    const waiting = stackshim.wait('long', { signal: stop.signal });
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_STACKSHIM_TASK_ABORTED' });
    expect(await stackshim.get('long')).toMatchObject({ state: 'running' });
    await stackshim.kill('long', { stopTimeout: 0 });
    await other.ended;
  });
});

it('wait returns the result of a task that the caller started', async () => {
  const handle = await stackshim.start(task('echo ready; sleep 0.2; exit 4'));
  const end = await stackshim.wait(handle.id);
  expect(end).toMatchObject({ id: handle.id, state: 'removed', result: { exitCode: 4 } });
  expect(end.result).toBe(await handle.result);
});

it.each([
  ['wait', 'ERR_STACKSHIM_TASK_NOT_FOUND', 'no-such-task'],
  ['kill', 'ERR_STACKSHIM_TASK_NOT_FOUND', 'no-such-task'],
  ['wait', 'ERR_STACKSHIM_SPEC_INVALID', '../etc'],
  ['kill', 'ERR_STACKSHIM_SPEC_INVALID', '../etc'],
  ['get', 'ERR_STACKSHIM_SPEC_INVALID', '../etc'],
] as const)('%s rejects with %s for %s', async (member, code, id) => {
  await expect(stackshim[member](id)).rejects.toMatchObject({ code });
});

it('accepts the durations that a task accepts, and no others', async () => {
  await expect(stackshim.kill('one', { stopTimeout: 'soon' })).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    details: { field: 'stopTimeout' },
  });
});

describe('an unknown option', () => {
  const refused = (field: string) => ({ code: 'ERR_STACKSHIM_SPEC_INVALID', details: { field } });

  it('is refused: a misspelt policy would not be enforced', async () => {
    const mistaken = { ...options, policyFile: '/no/such/policy.json' };
    expect(() => openStackshim(mistaken)).toThrow(expect.objectContaining(refused('policyFile')));
    await expect(runTask(task('true'), mistaken)).rejects.toMatchObject({
      ...refused('policyFile'),
      hint: expect.stringContaining('root, run, policy, '),
    });
  });

  it('is refused: a misspelt origin would not be checked', async () => {
    const mistaken: object = { orgin: 'job' };
    await expect(stackshim.run(task('true'), mistaken)).rejects.toMatchObject(refused('orgin'));
    await expect(stackshim.start(task('true'), mistaken)).rejects.toMatchObject(refused('orgin'));
  });
});

it('a job is admitted by its origin', async () => {
  const job = { stack: 'busybox', volumes: ['/etc:/host'] };
  await expect(stackshim.run(job, { origin: 'job' })).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_SPEC_DENIED',
    details: { field: 'volumes' },
  });
});

it('folders are resolved once: a link that leads elsewhere later is not followed', async () => {
  const links = ['root', 'run'].map((name) => join(layout.root, '..', `link-of-${name}`));
  const [root = '', run = ''] = links;
  symlinkSync(layout.root, root);
  symlinkSync(layout.run, run);
  try {
    const linked = openStackshim({ ...options, root, run });
    const handle = await linked.start(task('echo ready; exec sleep 1000'));
    await untilOutput(handle);
    for (const link of links) {
      rmSync(link);
      symlinkSync('/var/empty', link);
    }
    expect((await linked.list()).tasks).toMatchObject([{ id: handle.id, state: 'running' }]);
    expect((await stackshim.list()).tasks).toMatchObject([{ id: handle.id }]);
    expect(await linked.kill(handle.id, { stopTimeout: 0 })).toEqual(GONE);
    expect(await handle.result).toMatchObject({ verdict: 'cancelled' });
    expect(await linked.run(task('true'))).toMatchObject({ verdict: 'succeeded' });
  } finally {
    for (const link of links) rmSync(link);
  }
});

it('gives access to the stacks and the storage of the installation', async () => {
  const [busybox] = await stackshim.stacks.list();
  expect(busybox).toMatchObject({ name: 'busybox', revision: 1 });
  expect(await stackshim.stacks.show('busybox')).toMatchObject({ image: busybox?.image });
  expect(await stackshim.stacks.history('busybox')).toMatchObject([{ revision: 1 }]);
  await expect(stackshim.stacks.show('No Name')).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    details: { field: 'name' },
  });
  expect(await stackshim.verify({ stacks: ['busybox'] })).toMatchObject({ damage: [] });
  expect(await stackshim.gc({ dryRun: true })).toMatchObject({ dryRun: true, revisions: [] });
  expect(await stackshim.df()).toMatchObject({ stacks: [{ name: 'busybox', revisions: 1 }] });
  const { checks } = await stackshim.doctor();
  expect(checks).toContainEqual(expect.objectContaining({ name: 'root', status: 'ok' }));
});

it.each(['migrate', 'verify'] as const)(
  'a cancelled %s rejects with a stackshim error',
  async (member) => {
    const signal = AbortSignal.abort();
    await expect(stackshim[member]({ signal })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_BUILD_ABORTED',
      message: `${member}: cancelled by the caller`,
    });
  },
);
