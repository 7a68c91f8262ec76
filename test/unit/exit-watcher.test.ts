/** How exits are polled: when, after how many failures, and how many in a turn of the event loop. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { watchChild } from '../../src/runtime/exit-source.ts';
import { ExitWatcher } from '../../src/sys/exit-watcher.ts';
import { type System, SystemError } from '../../src/sys/system.ts';

const PIDFD = 10;
const failure = new SystemError('epoll_wait', 12, 'ENOMEM');
/** The results of the next polls; nothing once it is empty. */
let looks: ('failure' | 'an exit')[] = [];

const system = {
  createEpoll: () => 3,
  addToEpoll: () => undefined,
  removeFromEpoll: () => undefined,
  pollEpoll() {
    const found = looks.shift();
    if (found === 'failure') throw failure;
    return found === 'an exit' ? [PIDFD] : [];
  },
  waitPidfd: () => ({ exitCode: 7, signal: null }),
} as unknown as System;

beforeEach(() => {
  looks = [];
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setImmediate', 'performance'] });
});
afterEach(async () => {
  if (vi.isFakeTimers()) await vi.runOnlyPendingTimersAsync();
  vi.useRealTimers();
});

it('a look that fails occasionally loses no exit, however long the wait', async () => {
  const exit = new ExitWatcher(system).wait(PIDFD);
  for (let minute = 0; minute < 3; minute += 1) {
    looks = ['failure'];
    await vi.advanceTimersByTimeAsync(60_000);
  }
  looks = ['an exit'];
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await exit).toEqual({ exitCode: 7, signal: null });
});

it('looks that fail for seconds lose the exit', async () => {
  const exit = new ExitWatcher(system).wait(PIDFD);
  const lost = expect(exit).rejects.toBe(failure);
  looks = Array.from({ length: 100 }, () => 'failure');
  await vi.advanceTimersByTimeAsync(20_000);
  await lost;
});

it('no exit is reported after the wait was abandoned', async () => {
  const watcher = new ExitWatcher(system);
  const settled = vi.fn();
  watcher.wait(PIDFD).then(settled, settled);
  const listeners = process.listenerCount('SIGCHLD');
  watcher.stopWaiting(PIDFD);
  expect(process.listenerCount('SIGCHLD')).toBe(listeners - 1);
  looks = ['an exit'];
  await vi.advanceTimersByTimeAsync(1_000);
  expect(settled).not.toHaveBeenCalled();
});

it('exits that happen together are reported one in each turn of the event loop', async () => {
  vi.useRealTimers();
  const ended = new Set([PIDFD, PIDFD + 1, PIDFD + 2]);
  const watcher = new ExitWatcher({
    ...system,
    pollEpoll: (_, limit) => [...ended].slice(0, limit),
    waitPidfd(pidfd) {
      ended.delete(pidfd);
      return { exitCode: 0, signal: null };
    },
  });
  let told = 0;
  for (const pidfd of ended) void watcher.wait(pidfd).then(() => (told += 1));
  const perTurn: number[] = [];
  while (told < 3) {
    const before = told;
    await new Promise(setImmediate);
    perTurn.push(told - before);
  }
  expect(Math.max(...perTurn)).toBe(1);
});

it('exits that happen together have the time at which they were seen, not reported', async () => {
  vi.useRealTimers();
  const ended = new Set([PIDFD, PIDFD + 1, PIDFD + 2]);
  const exits = new ExitWatcher({
    ...system,
    pollEpoll: (_, limit) => [...ended].slice(0, limit),
    waitPidfd(pidfd) {
      ended.delete(pidfd);
      return { exitCode: 0, signal: null };
    },
  });
  const sources = [...ended].map((pidfd) => watchChild({ exits, pid: process.pid, pidfd }));
  const toldAt = await Promise.all(
    sources.map(({ exited }) => exited.then(() => performance.now())),
  );
  for (const source of sources) source.stop();
  const [first] = toldAt.toSorted((a, b) => a - b);
  expect(Math.max(...sources.map((source) => source.endedAt()))).toBeLessThanOrEqual(first ?? 0);
});
