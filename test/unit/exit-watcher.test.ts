import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ExitWatcher } from '../../src/sys/exit-watcher.ts';
import { type System, SystemError } from '../../src/sys/system.ts';

const PIDFD = 10;
const failure = new SystemError('epoll_wait', 12, 'ENOMEM');
/** What the next looks find; nothing once it is empty. */
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
afterEach(() => vi.useRealTimers());

it('a look that fails now and then does not lose an exit, however long it is waited for', async () => {
  const exit = new ExitWatcher(system).wait(PIDFD);
  for (let minute = 0; minute < 3; minute += 1) {
    looks = ['failure'];
    await vi.advanceTimersByTimeAsync(60_000);
  }
  looks = ['an exit'];
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await exit).toEqual({ exitCode: 7, signal: null });
});

it('looks that fail for seconds do', async () => {
  const exit = new ExitWatcher(system).wait(PIDFD);
  const lost = expect(exit).rejects.toBe(failure);
  looks = Array.from({ length: 100 }, () => 'failure');
  await vi.advanceTimersByTimeAsync(20_000);
  await lost;
});

it('nobody is told of one that was given up', async () => {
  const watcher = new ExitWatcher(system);
  const settled = vi.fn();
  watcher.wait(PIDFD).then(settled, settled);
  const listeners = process.listenerCount('SIGCHLD');
  watcher.abandon(PIDFD);
  expect(process.listenerCount('SIGCHLD')).toBe(listeners - 1);
  looks = ['an exit'];
  await vi.advanceTimersByTimeAsync(1_000);
  expect(settled).not.toHaveBeenCalled();
});
