/** The take loop beside lanes that a hostile producer has damaged. */
import { EventEmitter } from 'node:events';
import type { IQueueBackend } from 'bullmq';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Budget, Reservation } from '../../src/worker/intake/budget/budget.ts';
import type { IntakeOptions } from '../../src/worker/intake/intake-options.ts';
import { USUAL_PACE } from '../../src/worker/intake/intake-options.ts';
import { LaneBook } from '../../src/worker/intake/lanes/lane-book.ts';
import { RoomForLanes } from '../../src/worker/intake/room-for-lanes.ts';
import { TakeLoop } from '../../src/worker/intake/take-loop.ts';
import type { Lane } from '../../src/worker/job/lane.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';

const MUCH = { memoryBytes: 1e12, diskBytes: 1e12, cpus: 1e3 };
const LITTLE = { memoryBytes: 1, diskBytes: 1, cpus: 1 };

const lane = (tenant: string, code?: string): Lane => ({
  ...{ queue: 'q', code },
  tenant: tenant as Lane['tenant'],
});

type Take = (lane: Lane) => Promise<unknown[]>;

/** Timers of lanes expire at once. */
function startLoop(take: Take) {
  const errors: unknown[] = [];
  const store = {
    backend: (of: Lane) =>
      Object.assign(new EventEmitter(), {
        moveToActive: () => take(of),
      }) as unknown as IQueueBackend,
    noteActive: () => Promise.resolve(),
    catalogue: { get: () => Promise.resolve([]) },
  } as unknown as QueueStore;
  const reservation: Reservation = { needs: LITTLE, resize: () => true, release: () => undefined };
  const budget = {
    ...{ total: () => MUCH, possible: () => MUCH, room: () => MUCH, reserve: () => reservation },
    ...{ expectRoom: () => undefined, tasksOfOthers: () => 0 },
  } as unknown as Budget;
  const clock = { monotonicMs: () => performance.now(), epochMs: () => 1_000_000 };
  const options = {
    ...{ store, budget, clock, usualNeeds: LITTLE, mostNeeds: LITTLE, concurrency: 8 },
    ...{ worker: 'test/1', newToken: () => String(Math.random()), lockMs: 30_000 },
    onError: (error: unknown) => errors.push(error),
  } as unknown as IntakeOptions;
  const book: LaneBook = new LaneBook({
    ...{ weightOfQueue: () => 1, termsOf: () => ({ weight: 100 }) },
    startTimer(_ms, expired) {
      const timer = setImmediate(expired);
      return () => clearImmediate(timer);
    },
    onReady: () => loop.look(),
  });
  const loop: TakeLoop = new TakeLoop(options, {
    ...{ book, ensureCap: () => Promise.resolve(), storeNowMs: clock.epochMs },
    rooms: new RoomForLanes(options, USUAL_PACE),
    trust: { mayTake: true },
  });
  loop.begin();
  return { book, loop, errors };
}

describe('the take loop', () => {
  // The loop's own rest must not end by itself.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  const turns = async (until: () => boolean) => {
    for (let turn = 0; turn < 1_000 && !until(); turn += 1) {
      await new Promise((resolve) => void setImmediate(resolve));
    }
  };

  it('serves other tenants while many lanes of one fail', async () => {
    const asked: string[] = [];
    const { book, loop, errors } = startLoop(({ tenant = '' }) => {
      asked.push(tenant);
      if (tenant === 'bad') return Promise.reject(new Error('WRONGTYPE'));
      return Promise.resolve([undefined, '', 0, 0]);
    });
    for (const code of ['a', 'b', 'c', 'd']) book.wake(lane('bad', code));
    await turns(() => errors.length >= 8);
    expect(errors.length).toBeGreaterThanOrEqual(8);
    book.wake(lane('good'));
    await turns(() => asked.includes('good'));
    await loop.stop();
    expect(asked).toContain('good');
  });
});
