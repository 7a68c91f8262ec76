/** Containers that one process prepares before the command is known, and other processes run commands in. */
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { taskDir } from '../../src/core/layout.ts';
import { waitForTask } from '../../src/door/wait-for-task.ts';
import { openStackshim, parseTaskId, type TaskId, type TaskInput } from '../../src/index.ts';
import { prepareForOthers } from '../../src/task/container-hand-over.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { planContainerAlone } from '../../src/task/plan-task.ts';
import { runTaskAndLeave } from '../../src/task/run-task.ts';
import { failSystem } from '../support/host/failing-system.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { startFixture, waitForLine } from '../support/programs/bun-fixture.ts';
import { installBusyboxStack } from '../support/stacks/busybox-stack.ts';
import { scaled } from '../support/timing/time-scale.ts';

const { layout, options } = useInstallation();
const stackshim = openStackshim(options);
const folder = mkdtempSync('/var/tmp/stackshim-prepared-');
chmodSync(folder, 0o755);
mkdirSync(join(folder, 'code'));
writeFileSync(join(folder, 'code/program'), 'of the code\n');
mkdirSync(join(folder, 'shared'));
writeFileSync(join(folder, 'shared/file'), 'of the bind\n');
afterAll(() => rmSync(folder, { recursive: true }));

const keepers: ReturnType<typeof startFixture>[] = [];
afterEach(async () => {
  for (const keeper of keepers.splice(0)) {
    const ended = once(keeper, 'exit');
    keeper.kill('SIGKILL');
    await ended;
  }
  const { corrupt, reaped } = await stackshim.reap();
  expect({ corrupt, left: reaped.filter(({ removed }) => !removed) }).toEqual({
    corrupt: [],
    left: [],
  });
});

async function prepare(request: object, count = 1): Promise<readonly TaskId[]> {
  const program = new URL('../fixtures/prepare-containers.ts', import.meta.url);
  const keeper = startFixture(program, [
    JSON.stringify(layout),
    JSON.stringify(request),
    String(count),
  ]);
  keepers.push(keeper);
  const line = await waitForLine(keeper, 'prepared ');
  const ids: readonly string[] = JSON.parse(line.slice('prepared '.length));
  return ids.map(parseTaskId);
}

const runIn = async (container: TaskId, input: TaskInput) =>
  (await runTaskAndLeave(openInstallation(layout), input, { container, capture: true })).result;

const KIND = {
  stack: 'busybox',
  memory: '48m',
  hostname: 'waiting',
  volumes: [`${join(folder, 'shared')}:/shared:ro`],
};
const isThere = (id: TaskId) => existsSync(taskDir(layout, id));

it('a prepared container runs a command that its maker did not know', async () => {
  const [container, other] = await prepare(KIND, 2);
  if (container === undefined || other === undefined) throw new Error('not prepared');
  const waiting = (await stackshim.list()).tasks.map(({ id }) => id);
  expect([...waiting].sort()).toEqual([container, other].sort());
  const result = await runIn(container, {
    ...KIND,
    command: ['sh', '-c', 'cat program $PAYLOAD_FILE /shared/file; echo $A; id -u; hostname; pwd'],
    code: join(folder, 'code'),
    payload: 'of the payload\n',
    env: { A: 'of the env' },
    user: '7',
    timeout: '20s',
  });
  const { verdict, output, removed, leftovers, error } = result;
  expect({ verdict, removed, leftovers, error, stdout: output.stdout }).toEqual({
    verdict: 'succeeded',
    removed: true,
    leftovers: [],
    error: null,
    stdout: 'of the code\nof the payload\nof the bind\nof the env\n7\nwaiting\n/task\n',
  });
  expect(result.id).toBe(container);
  expect([isThere(container), isThere(other)]).toEqual([false, true]);
});

it.each([{}, { userns: 'host' }, { readOnly: true }] as const)(
  'a prepared container gets a file for the progress of its command, and passes arguments (%j)',
  async (more) => {
    const kind = { ...KIND, ...more };
    const [container] = await prepare(kind);
    if (container === undefined) throw new Error('not prepared');
    const script = 'echo "$2 of 2" > $TASK_PROGRESS_FILE; echo "$1"';
    const { verdict, output, progress, removed, leftovers } = await runIn(container, {
      ...kind,
      command: ['sh', '-c', script, 'sh', '{id}', '2'],
      args: 'names',
      payload: '',
      user: 'user',
    });
    expect({ verdict, progress, removed, leftovers, stdout: output.stdout }).toEqual({
      verdict: 'succeeded',
      progress: '2 of 2',
      removed: true,
      leftovers: [],
      stdout: `${container}\n`,
    });
  },
);

it('nothing can be executed in a container that waits for its command', async () => {
  const [container = ''] = await prepare(KIND);
  expect((await stackshim.list()).tasks).toMatchObject([{ id: container, state: 'starting' }]);
  await expect(stackshim.exec(container, ['true'])).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_TASK_CONFLICT',
    details: { state: 'prepared' },
  });
});

it('a prepared container applies the limits of the task that claims it', async () => {
  const { memory: _, ...kind } = KIND;
  const [container] = await prepare({ ...kind, memory: '512m' });
  if (container === undefined) throw new Error('not prepared');
  const script = 'x=$(head -c 100000000 /dev/zero | tr "\\0" x); echo $x | wc -c';
  const { verdict, removed } = await runIn(container, { ...KIND, command: ['sh', '-c', script] });
  expect({ verdict, removed }).toEqual({ verdict: 'oom_killed', removed: true });
});

it('a prepared container gives a writable bind to the command’s user', async () => {
  const own = join(folder, 'own');
  mkdirSync(own);
  chownSync(own, 1234, 1234);
  const kind = { stack: 'busybox', volumes: [`${own}:/own`] };
  const [container] = await prepare(kind);
  if (container === undefined) throw new Error('not prepared');
  const command = ['sh', '-c', 'echo text > /own/file; stat -c %u /own/file'];
  const { output, verdict } = await runIn(container, { ...kind, command, user: '9' });
  expect({ verdict, stdout: output.stdout }).toEqual({ verdict: 'succeeded', stdout: '9\n' });
});

it('a prepared container counts as a task of its tenant once it is claimed', async () => {
  writePolicy(layout, { tenants: { team: { maxTasks: 1 } } });
  const kind = { ...KIND, tenant: 'team' };
  const [first, second] = await prepare(kind, 2);
  if (first === undefined || second === undefined) throw new Error('not prepared');
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const started = new Promise<void>((resolve, reject) => {
    const stop = new AbortController();
    void held.then(() => stop.abort());
    const onEvent = ({ type }: { readonly type: string }) => {
      if (type === 'started') resolve();
    };
    const more = { container: first, onEvent, signal: stop.signal };
    const input = { ...kind, command: ['sleep', '60'] };
    runTaskAndLeave(openInstallation(layout), input, more).then(({ result }) => {
      verdicts.push(result.verdict);
    }, reject);
  });
  const verdicts: string[] = [];
  await started;
  const refused = await runIn(second, { ...kind, command: ['true'] });
  expect(refused).toMatchObject({ verdict: 'setup_failed', removed: true });
  expect(refused.error?.code).toBe('ERR_STACKSHIM_TENANT_EXHAUSTED');
  release();
  await expect.poll(() => verdicts, { timeout: scaled(20_000) }).toEqual(['cancelled']);
  writePolicy(layout);
});

it('a container that cannot be prepared leaves nothing', async () => {
  const installation = openInstallation(layout);
  const system = failSystem();
  const fault = { method: 'attachMount', answer: 'ENOMEM', call: 1, lasting: false } as const;
  try {
    await system.during(fault, async () => {
      const { signal } = new AbortController();
      const preparing = prepareForOthers(installation, { stack: 'busybox' }, signal);
      await expect(preparing).rejects.toMatchObject({ kind: 'exhausted' });
    });
  } finally {
    system.restore();
  }
  expect((await stackshim.list()).tasks).toEqual([]);
});

it('a container is not left for others after its maker gave up', async () => {
  const gaveUp = new AbortController();
  const preparing = prepareForOthers(openInstallation(layout), { stack: 'busybox' }, gaveUp.signal);
  gaveUp.abort();
  await expect(preparing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_TASK_ABORTED' });
  expect((await stackshim.list()).tasks).toEqual([]);
});

it('a prepared container is claimed by exactly one claimer', async () => {
  const [container] = await prepare(KIND);
  if (container === undefined) throw new Error('not prepared');
  const claims = Array.from({ length: 4 }, () => runIn(container, { ...KIND, command: ['true'] }));
  const outcomes = await Promise.allSettled(claims);
  const won = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value.verdict] : []));
  expect(won).toEqual(['succeeded']);
  const lost = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  expect(lost.map(({ code }) => code)).toEqual(Array(3).fill('ERR_STACKSHIM_TASK_NOT_FOUND'));
});

it('a prepared container is not given to a task of another kind, and stays available', async () => {
  const [container] = await prepare(KIND);
  if (container === undefined) throw new Error('not prepared');
  const wanted = { ...KIND, disk: '64m', command: ['true'] };
  await expect(runIn(container, wanted)).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_TASK_CONFLICT',
  });
  expect((await runIn(container, { ...KIND, command: ['true'] })).verdict).toBe('succeeded');
});

it('a prepared container is not given to another installation with the same run folder', async () => {
  const root = join(folder, 'other-root');
  mkdirSync(root);
  const other = { ...layout, root };
  await installBusyboxStack(other);
  const { runtime } = await planContainerAlone(openInstallation(layout), { stack: 'busybox' });
  writePolicy(layout, { allow: { runtimes: [runtime.path] } });
  const kind = { stack: 'busybox', runtime: runtime.path };
  const [container] = await prepare(kind);
  if (container === undefined) throw new Error('not prepared');
  const input = { ...kind, command: ['true'] };
  const claiming = runTaskAndLeave(openInstallation(other), input, { container });
  await expect(claiming).rejects.toMatchObject({ code: 'ERR_STACKSHIM_TASK_CONFLICT' });
  expect((await runIn(container, input)).verdict).toBe('succeeded');
  disposeInstallation({ root, run: join(folder, 'no-run') });
  writePolicy(layout);
});

it('kill ends a prepared container while its maker lives', async () => {
  const [container, other] = await prepare(KIND, 2);
  if (container === undefined || other === undefined) throw new Error('not prepared');
  const removal = await stackshim.kill(container, { stopTimeout: 0 });
  expect(removal).toEqual({ removed: true, leftovers: [] });
  expect([isThere(container), isThere(other)]).toEqual([false, true]);
  const claiming = runIn(container, { ...KIND, command: ['true'] });
  await expect(claiming).rejects.toMatchObject({ code: 'ERR_STACKSHIM_TASK_NOT_FOUND' });
  expect((await runIn(other, { ...KIND, command: ['true'] })).verdict).toBe('succeeded');
});

it('wait treats a prepared container as the same task before and after the claim', async () => {
  const [container] = await prepare(KIND);
  if (container === undefined) throw new Error('not prepared');
  const order: string[] = [];
  const waiting = waitForTask(openInstallation(layout), container, { isKnown: false });
  const waited = waiting.then(({ state }) => order.push(state));
  const onEvent = ({ type }: { readonly type: string }) => {
    if (type === 'exited') order.push(type);
  };
  const input = { ...KIND, command: ['sleep', '0.5'] };
  await runTaskAndLeave(openInstallation(layout), input, { container, onEvent });
  await waited;
  expect(order).toEqual(['exited', 'removed']);
});

it('reap removes prepared containers after their maker has ended', async () => {
  const [container] = await prepare(KIND);
  if (container === undefined) throw new Error('not prepared');
  const [keeper] = keepers.splice(0);
  if (keeper === undefined) throw new Error('not started');
  const ended = once(keeper, 'exit');
  keeper.kill('SIGKILL');
  await ended;
  const { reaped } = await stackshim.reap();
  expect(reaped).toMatchObject([{ id: container, removed: true, leftovers: [] }]);
  expect(isThere(container)).toBe(false);
});
