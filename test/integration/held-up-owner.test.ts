/** Tasks whose owner is busy or stopped: their limits still hold, because other processes enforce them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { watchOwners } from '../../src/task/abandoned/watch-owners.ts';
import { openInstallation } from '../../src/task/installation.ts';
import type { TaskResult } from '../../src/task/result.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { layout, env } = useInstallation();
const program = fileURLToPath(new URL('../fixtures/run-held-up.mjs', import.meta.url));
const folder = mkdtempSync('/var/tmp/stackshim-held-up-');
chmodSync(folder, 0o755);
afterAll(() => rmSync(folder, { recursive: true }));

/** Duration of a task that is not ended early. */
const WHOLE_S = scaled(8);
/** On a busy machine, the owner is held up before that. */
const LIMIT = `${scaled(2)}s`;
const LIMIT_MS = scaled(2_000);
/** The possible difference, on a busy machine, between the clocks of task and owner. */
const SLACK_MS = scaled(1_000);

interface Ask {
  readonly seconds: number;
  readonly timeout: string;
  readonly deadlineMs?: number;
  readonly guard?: boolean;
  readonly stops?: boolean;
  /** Handles TERM and continues. */
  readonly stubborn?: boolean;
}

/** Starts a task that reports its start and its end in its own folder. */
function start({ seconds, timeout, stubborn = false, ...ask }: Ask) {
  const trace = mkdtempSync(`${folder}/trace-`);
  chmodSync(trace, 0o777);
  const script = [
    stubborn ? 'trap "cat /proc/uptime > /trace/asked" TERM' : ':',
    'cat /proc/uptime > /trace/begin; echo begun',
    `i=0; while [ $i -lt ${seconds * 20} ]; do sleep 0.05; i=$((i+1)); done`,
    'cat /proc/uptime > /trace/end',
  ].join('; ');
  const volumes = [`${trace}:/trace`];
  const task = {
    stack: 'busybox',
    command: ['sh', '-c', script],
    timeout,
    volumes,
    stopTimeout: '1s',
  };
  const moreMs = scaled(3_000);
  const child = spawn(process.execPath, [program, JSON.stringify({ task, moreMs, ...ask })], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => String((await lines.next()).value);
  const at = (name: string) =>
    Number(readFileSync(`${trace}/${name}`, 'utf8').split(' ')[0]) * 1_000;
  return {
    child,
    pid: async () => Number(/^task (\d+)$/.exec(await line())?.[1]),
    async result(): Promise<TaskResult> {
      const result = JSON.parse(await line());
      await exited;
      return result;
    },
    tookMs: () => at('end') - at('begin'),
    askedAfterMs: () => at('asked') - at('begin'),
    hasEnded: () => existsSync(`${trace}/end`),
  };
}

async function runHeldUp(ask: Ask) {
  const task = start(ask);
  await task.pid();
  return { ...task, result: await task.result() };
}

const isZombie = (pid: number) => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

type Cases = Readonly<Record<string, () => Promise<void>>>;

const whoseOwnerIsBusy: Cases = {
  'has timed out if it took too long, however late its owner notices': async () => {
    const { result, tookMs } = await runHeldUp({ seconds: scaled(3), timeout: LIMIT });
    expect(result).toMatchObject({ verdict: 'timed_out', exitCode: 0, removed: true });
    expect(result.usage.wallMs).toBeGreaterThan(tookMs() - 100);
    expect(result.usage.wallMs).toBeLessThan(tookMs() + SLACK_MS);
  },

  'has timed out if it passed its deadline': async () => {
    const ask = { seconds: scaled(3), timeout: '1h', deadlineMs: scaled(2_500) };
    const { result } = await runHeldUp(ask);
    expect(result).toMatchObject({ verdict: 'timed_out', exitCode: 0, removed: true });
  },

  'has succeeded if it ended in time, even if its owner notices after the limit': async () => {
    const { result, tookMs } = await runHeldUp({ seconds: 0.2, timeout: LIMIT });
    expect(result).toMatchObject({ verdict: 'succeeded', removed: true });
    expect(result.usage.wallMs).toBeGreaterThan(tookMs() - 100);
    expect(result.usage.wallMs).toBeLessThan(tookMs() + SLACK_MS);
  },

  'is ended by the guard process': async () => {
    const { result, hasEnded } = await runHeldUp({ seconds: WHOLE_S, timeout: LIMIT, guard: true });
    expect(result).toMatchObject({ verdict: 'timed_out', signal: 'SIGKILL', removed: true });
    expect(hasEnded()).toBe(false);
    expect(result.usage.wallMs).toBeGreaterThan(LIMIT_MS);
    expect(result.usage.wallMs).toBeLessThan(WHOLE_S * 1_000);
  },

  'gets its stop signal from the guard process, and is killed if that does not end it':
    async () => {
      const ask = { seconds: WHOLE_S, timeout: LIMIT, guard: true, stubborn: true };
      const { result, hasEnded, askedAfterMs } = await runHeldUp(ask);
      expect(result).toMatchObject({ verdict: 'timed_out', signal: 'SIGKILL', removed: true });
      expect(hasEnded()).toBe(false);
      expect(askedAfterMs()).toBeGreaterThan(LIMIT_MS / 2);
      expect(result.usage.wallMs).toBeGreaterThan(askedAfterMs() + 900);
    },

  'is left alone by the guard process while it has time': async () => {
    const { result, hasEnded } = await runHeldUp({ seconds: 2, timeout: '1h', guard: true });
    expect(result).toMatchObject({ verdict: 'succeeded', exitCode: 0, removed: true });
    expect(hasEnded()).toBe(true);
  },

  'is ended by the guard process if its owner is stopped': async () => {
    const ask = { seconds: WHOLE_S, timeout: LIMIT, guard: true, stops: true };
    const { child, pid, result, hasEnded } = start(ask);
    const first = await pid();
    child.kill('SIGSTOP');
    await waitUntil(() => isZombie(first));
    expect(hasEnded()).toBe(false);
    child.kill('SIGCONT');
    expect(await result()).toMatchObject({
      verdict: 'timed_out',
      signal: 'SIGKILL',
      removed: true,
    });
  },
};

// At the same time: each case takes seconds and does nothing but wait.
it('a task whose owner’s event loop is busy keeps its limits', async () => {
  const outcomes = await Promise.allSettled(
    Object.values(whoseOwnerIsBusy).map((check) => check()),
  );
  const names = Object.keys(whoseOwnerIsBusy);
  const failed = outcomes.flatMap((outcome, index) =>
    outcome.status === 'rejected' ? [`${names[index]}: ${outcome.reason}`] : [],
  );
  expect(failed).toEqual([]);
});

// Alone: this process ends every task of the installation that is late.
it('a task whose owner’s event loop is busy is ended by the process that watches all owners', async () => {
  const stop = new AbortController();
  const onReport = () => undefined;
  const watching = watchOwners(openInstallation(layout), { signal: stop.signal, onReport });
  const { result, hasEnded } = await runHeldUp({ seconds: WHOLE_S, timeout: LIMIT });
  stop.abort();
  await watching;
  expect(result).toMatchObject({ verdict: 'timed_out', signal: 'SIGKILL', removed: true });
  expect(hasEnded()).toBe(false);
});
