/** The shim is killed at every step of a task; `stackshim reap` then removes everything, and the installation keeps working. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProgram } from '../../src/sys/find-program.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { takeFileLock } from '../../src/sys/lock.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { type StartedTask, useTaskRunner } from '../support/cli/task-runner.ts';
import { replaceProgram } from '../support/programs/replace-program.ts';
import {
  makeGate,
  realRunc,
  writeExecutable,
  writeFakeRuntime,
} from '../support/runtimes/fake-runtime.ts';
import { type HeldEvents, holdEvents } from './support/held-events.ts';
import { seedRandom } from './support/seeded-random.ts';

const { installation, run, start, folder, setPolicy } = useTaskRunner();
const { layout, env } = installation;

const MKFS = findProgram('mkfs.erofs', { package: 'erofs-utils' });
const ONE_AT_ONCE = { tenants: { acme: { maxTasks: 1 } } };

interface ReapOutput {
  readonly reaped: readonly {
    readonly id: string;
    readonly removed: boolean;
    readonly exit?: unknown;
  }[];
  readonly corrupt: readonly unknown[];
}

async function reap(): Promise<ReapOutput> {
  const { status, stdout, stderr } = await runCli(['reap', '--json'], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

async function kill(task: StartedTask): Promise<void> {
  task.child.kill('SIGKILL');
  expect((await task.ended).signal).toBe('SIGKILL');
}

/** The exit that `act` causes and that was reported before the owner was killed. */
const TOLD_EXIT = { exitCode: null, signal: 'SIGKILL', at: expect.any(String) };

/** One reap finds and removes the task; a second one finds nothing, and the installation is sound. */
async function expectReaped(id: string, exit?: typeof TOLD_EXIT): Promise<void> {
  const slot = slotOf(id);
  const reaped = { id, removed: true, leftovers: [], ...(exit === undefined ? {} : { exit }) };
  expect(await reap()).toEqual({ reaped: [reaped], corrupt: [] });
  expect(await reap()).toEqual({ reaped: [], corrupt: [] });
  await expectSound();
  if (slot !== undefined) expectFree(slot, id);
}

async function expectSound(): Promise<void> {
  expect(readdirSync(join(layout.run, 'tasks'))).toEqual([]);
  // The tenant may have one task at a time: the killed one does not count any more.
  const next = await run(['--tenant', 'acme'], sh('exit 7'));
  expect(next).toMatchObject({ status: 7, record: { removed: true } });
  const tenants = join(layout.run, 'tenants');
  expect(existsSync(tenants) ? readdirSync(tenants) : []).toEqual([]);
}

/** The lock file of the slot that names the task. */
function slotOf(id: string): string | undefined {
  const names = readdirSync(layout.slots).filter((name) => /^\d+$/.test(name));
  const files = names.map((name) => join(layout.slots, name));
  return files.find((file) => readFileSync(file, 'utf8').includes(`\n${id}\n${layout.run}\n`));
}

/** Expects that no process holds the slot for this task; another task may have it. */
function expectFree(slot: string, id: string): void {
  if (slotOf(id) !== slot) return;
  const lock = takeFileLock(linuxSystem, slot, { wait: false });
  expect(lock).toBeDefined();
  lock?.release();
}

beforeEach(() => setPolicy(ONE_AT_ONCE));
afterEach(() => setPolicy(null));

describe('SIGKILL of the shim at the event', () => {
  const EVENTS = ['accepted', 'created', 'started', 'output', 'stopping', 'exited'] as const;
  const GONE = ['removed', 'finished'] as const;
  type Event = (typeof EVENTS | typeof GONE)[number];
  const sizes = new Map<string, number>();
  let inputs: readonly string[];
  let count = 0;

  // The length of each event's line, from one undisturbed run.
  beforeEach(async () => {
    if (sizes.size > 0) return;
    const code = join(folder, 'code');
    mkdirSync(code);
    writeFileSync(join(code, 'file'), 'content');
    inputs = [
      '--tenant',
      'acme',
      '--code',
      code,
      '--payload',
      'text',
      '-v',
      '/etc/hostname:/h:ro',
      '-v',
      '/:/host:ro',
    ];
    const events = join(folder, 'sizes');
    const task = start(optionsFor('x00', events), COMMAND);
    await task.printed('out');
    task.child.kill('SIGTERM');
    await task.ended;
    for (const line of readFileSync(events, 'utf8').trimEnd().split('\n')) {
      sizes.set(JSON.parse(line).type, Buffer.byteLength(line) + 1);
    }
    expect([...sizes.keys()]).toEqual([...EVENTS, ...GONE]);
  });

  const COMMAND = sh('echo text > /made; (setsid sleep 3600 &); echo out; exec sleep 3600');
  const optionsFor = (id: string, events: string) => [
    ...['--name', id, '--events', events],
    ...inputs,
  ];

  /** Runs the task up to the event, kills the shim there, and returns the task's id. */
  async function killAt(event: Event): Promise<string> {
    count += 1;
    const id = `k${String(count).padStart(2, '0')}`;
    const before = [...sizes.keys()].slice(0, [...sizes.keys()].indexOf(event));
    // Pids vary in length: no event is shorter than this.
    const slackBytes = 20;
    const room = before.reduce((sum, type) => sum + (sizes.get(type) ?? 0), slackBytes);
    const events: HeldEvents = holdEvents(join(folder, `${id}.events`), room);
    const task = start(optionsFor(id, events.path), COMMAND);
    if (before.includes('output')) {
      await task.printed('out');
      task.child.kill('SIGTERM');
    }
    await events.held(task.child.pid ?? 0);
    await kill(task);
    expect(events.release().map(({ type }) => type)).toEqual(before);
    return id;
  }

  it.each(EVENTS)('%s', async (event) => {
    await expectReaped(await killAt(event), event === 'exited' ? TOLD_EXIT : undefined);
  });

  it.each(GONE)('%s, when nothing is left to reap', async (event) => {
    await killAt(event);
    expect(await reap()).toEqual({ reaped: [], corrupt: [] });
    await expectSound();
  });
});

describe('SIGKILL of the shim', () => {
  it('while code is packed: the packer cannot write to what reap removes', async () => {
    const gate = makeGate(folder, 'packing');
    const [bin, code] = [join(folder, 'bin'), join(folder, 'packed')];
    for (const path of [bin, code]) mkdirSync(path);
    writeFileSync(join(code, 'file'), Buffer.alloc(1_000_000));
    const [real, waiting] = [join(bin, 'real'), join(bin, 'waiting')];
    copyFileSync(MKFS, real);
    writeExecutable(waiting, `#!/bin/sh\n${gate.stop}\nexec ${real} "$@"\n`);
    const options = ['--name', 'packing', '--code', code];
    const task = start(options, ['true'], { through: replaceProgram(MKFS, waiting) });
    await gate.reached();
    await kill(task);
    await expectReaped('packing');
  });

  it.each([
    ['before the runtime creates the container', 'beforeCreate'],
    ['after the runtime has created the container', 'afterCreate'],
  ] as const)('%s', async (_, key) => {
    const gate = makeGate(folder, key);
    const path = join(folder, `runtime-${key}`);
    writeFakeRuntime(path, { real: realRunc(layout), [key]: gate.stop });
    setPolicy({ allow: { runtimes: ['runc', path] } });
    const task = start(['--name', key, '--runtime', path], ['sleep', '3600']);
    await gate.reached();
    await kill(task);
    await expectReaped(key);
  });

  it('while the task runs processes that ignore every signal', async () => {
    const stubborn = 'setsid sh -c \'trap "" TERM INT HUP; while :; do sleep 1; done\' &';
    const command = sh(`${stubborn} ${stubborn} echo text > /made; echo ready; exec sleep 3600`);
    const task = start(['--name', 'running', '--network', 'none'], command);
    await task.printed('ready');
    await kill(task);
    await expectReaped('running');
  });

  it('while a task with asynchronous removal or a kept layer runs', async () => {
    for (const options of [['--remove', 'async'], ['--keep'], ['--init'], ['--userns', 'host']]) {
      const task = start(['--name', 'odd', ...options], sh('echo ready; exec sleep 3600'));
      await task.printed('ready');
      await kill(task);
      await expectReaped('odd');
    }
  });

  it('at forty random moments', async () => {
    const random = seedRandom('kill-shim');
    const code = join(folder, 'random-code');
    mkdirSync(code);
    writeFileSync(join(code, 'file'), Buffer.alloc(3_000_000, 'abc'));
    let found = 0;
    for (let i = 0; i < 40; i += 1) {
      const more =
        random.next() < 0.5 ? ['--code', code, '--payload', 'x', '-v', '/etc:/e:ro'] : [];
      const command = sh('echo text > /made; (sleep 0.03 &); usleep 20000');
      const task = start(['--name', `random-${i}`, ...more], command);
      await delay(random.next() * 120);
      task.child.kill('SIGKILL');
      await task.ended;
      const { reaped, corrupt } = await reap();
      expect({ i, corrupt }).toEqual({ i, corrupt: [] });
      for (const one of reaped) expect(one).toMatchObject({ id: `random-${i}`, removed: true });
      found += reaped.length;
      expect(readdirSync(join(layout.run, 'tasks'))).toEqual([]);
    }
    expect(found).toBeGreaterThan(0);
    await expectSound();
  }, 240_000);
});
