/** From which lane the intake takes, and what it remembers of lanes. */
import { describe, expect, it } from 'vitest';
import { parseJobNeeds } from '../../src/worker/intake/job-needs.ts';
import { chooseLane } from '../../src/worker/intake/lanes/choose-lane.ts';
import { LaneBook } from '../../src/worker/intake/lanes/lane-book.ts';
import type { LaneState } from '../../src/worker/intake/lanes/lane-state.ts';
import { type Lane, laneName } from '../../src/worker/job/lane.ts';

interface Fixture {
  readonly book: LaneBook;
  /** Delays and callbacks of the timers that run. */
  readonly timers: Map<number, () => void>;
  readyCalls: number;
}

interface Terms {
  readonly weights?: Readonly<Record<string, number>>;
  readonly queues?: Readonly<Record<string, number>>;
  readonly maxTasks?: number;
}

function newBook({ weights = {}, queues = { q: 1 }, maxTasks }: Terms = {}): Fixture {
  const timers = new Map<number, () => void>();
  const fixture: Fixture = {
    timers,
    readyCalls: 0,
    book: new LaneBook({
      weightOfQueue: (queue) => queues[queue],
      termsOf: (tenant) => ({
        weight: weights[tenant ?? ''] ?? 100,
        ...(maxTasks === undefined ? {} : { maxTasks }),
      }),
      startTimer(delayMs, expired) {
        timers.set(delayMs, expired);
        return () => timers.delete(delayMs);
      },
      onReady: () => {
        fixture.readyCalls += 1;
      },
    }),
  };
  return fixture;
}

const NONE = { lane: undefined, tooSoon: undefined };

const lane = (tenant: string, queue = 'q', code?: string): Lane => ({
  queue,
  tenant: tenant as Lane['tenant'],
  code,
});

function choose(book: LaneBook, fits: (state: LaneState) => boolean = () => true): LaneState {
  const { lane: chosen } = chooseLane(book.ready, fits);
  if (chosen === undefined) throw new Error('no lane');
  return chosen;
}

/** The lane of tenant `a` after so many bells, with as many requests under way. */
function beginA(book: LaneBook, count = 1): LaneState {
  for (let bell = 0; bell < count; bell += 1) book.wake(lane('a'));
  const state = choose(book);
  for (let request = 0; request < count; request += 1) book.begin(state);
  return state;
}

/** Takes `count` jobs, which run, and returns how many came from each lane. */
function take(book: LaneBook, count: number): Readonly<Record<string, number>> {
  const taken: Record<string, number> = {};
  for (let job = 0; job < count; job += 1) {
    const state = choose(book);
    book.begin(state);
    book.found(state);
    const name = state.tenant.name === '' ? state.name : state.tenant.name;
    taken[name] = (taken[name] ?? 0) + 1;
  }
  return taken;
}

describe('the choice', () => {
  it('gives equal tenants equal places', () => {
    const { book } = newBook();
    for (const tenant of ['a', 'b', 'c']) book.wake(lane(tenant));
    expect(take(book, 9)).toEqual({ a: 3, b: 3, c: 3 });
  });

  it('gives places by weight', () => {
    const { book } = newBook({ weights: { a: 300 } });
    for (const tenant of ['a', 'b']) book.wake(lane(tenant));
    expect(take(book, 8)).toEqual({ a: 6, b: 2 });
  });

  it('counts a job of a queue of weight 4 as a quarter of a job', () => {
    const { book } = newBook({ queues: { q: 1, urgent: 4 } });
    book.wake(lane('a', 'urgent'));
    book.wake(lane('b', 'q'));
    expect(take(book, 10)).toEqual({ a: 8, b: 2 });
  });

  it('divides the places of one tenant among its lanes, by the weights of their queues', () => {
    const { book } = newBook({ queues: { q: 1, urgent: 4 } });
    const [urgent, usual] = [lane('a', 'urgent'), lane('a')];
    for (const one of [urgent, usual, lane('b')]) book.wake(one);
    expect(take(book, 7)).toEqual({ a: 5, b: 2 });
    expect(book.find(urgent)?.running).toBe(4);
    expect(book.find(usual)?.running).toBe(1);
  });

  it('serves the tenant first that has fewer jobs running, however much it was served', () => {
    const { book } = newBook();
    for (const tenant of ['long', 'short']) book.wake(lane(tenant));
    expect(take(book, 4)).toEqual({ long: 2, short: 2 });
    for (let round = 0; round < 50; round += 1) {
      const short = book.find(lane('short'));
      if (short === undefined) throw new Error('no lane');
      book.ended(short);
      expect(take(book, 1)).toEqual({ short: 1 });
    }
  });

  it('serves equals in turn, and gives a tenant that comes back no more than its share', () => {
    const { book } = newBook();
    const order: string[] = [];
    const one = () => {
      const state = choose(book);
      book.begin(state);
      book.found(state);
      book.ended(state);
      order.push(state.tenant.name);
    };
    book.wake(lane('a'));
    for (let job = 0; job < 100; job += 1) one();
    book.wake(lane('b'));
    for (let job = 0; job < 10; job += 1) one();
    expect(order.slice(100).filter((name) => name === 'b')).toHaveLength(5);
  });

  it('takes nothing from a tenant at its maximum, over all its lanes', () => {
    const { book } = newBook({ maxTasks: 2 });
    for (const code of ['x', 'y', 'z']) book.wake(lane('a', 'q', code));
    expect(take(book, 2)).toEqual({ a: 2 });
    expect(chooseLane(book.ready, () => true)).toEqual(NONE);
  });

  it('names the most entitled lane if its job does not fit', () => {
    const { book } = newBook();
    book.wake(lane('a'));
    take(book, 1);
    book.wake(lane('b'));
    const choice = chooseLane(book.ready, (state) => state.tenant.name === 'a');
    expect([choice.lane?.tenant.name, choice.tooSoon?.tenant.name]).toEqual(['a', 'b']);
    const none = chooseLane(book.ready, () => false);
    expect([none.lane, none.tooSoon?.tenant.name]).toEqual([undefined, 'b']);
  });
});

describe('the book of lanes', () => {
  it('knows no lanes of other queues', () => {
    const { book } = newBook();
    book.wake(lane('a', 'other'));
    expect(book.size).toBe(0);
  });

  it('asks a lane for one job first, and for more with each that is found', () => {
    const { book } = newBook();
    const state = beginA(book);
    expect(chooseLane(book.ready, () => true)).toEqual(NONE);
    book.found(state);
    for (let taking = 0; taking < 2; taking += 1) book.begin(choose(book));
    expect(chooseLane(book.ready, () => true)).toEqual(NONE);
    // A second bell: another job.
    book.wake(lane('a'));
    book.begin(choose(book));
    expect(state.taking).toBe(3);
  });

  it('forgets an empty lane, until its bell', () => {
    const { book } = newBook();
    const state = beginA(book);
    book.foundNothing(state, 'parked');
    expect(book.size).toBe(0);
    book.wake(lane('a'));
    expect(choose(book).name).toBe(laneName(lane('a')));
  });

  it('looks at an empty lane again when one of its jobs ends', () => {
    const { book } = newBook();
    book.wake(lane('a'));
    take(book, 1);
    const state = choose(book);
    book.begin(state);
    book.foundNothing(state, 'parked');
    expect(state.isReady).toBe(false);
    book.ended(state);
    expect([state.isReady, book.find(lane('a')) === state]).toEqual([true, true]);
  });

  it('parks a lane for a time, and keeps it meanwhile', () => {
    const fixture = newBook();
    const { book, timers } = fixture;
    const state = beginA(book);
    book.foundNothing(state, { parkedForMs: 500 });
    expect([state.isReady, book.size]).toEqual([false, 1]);
    const calls = fixture.readyCalls;
    timers.get(500)?.();
    expect([state.isReady, fixture.readyCalls]).toEqual([true, calls + 1]);
  });

  it('ends the timer of a parked lane at its bell, and all timers at the end', () => {
    const { book, timers } = newBook();
    for (const tenant of ['a', 'b']) book.wake(lane(tenant));
    for (const ms of [1, 2]) {
      const state = choose(book);
      book.begin(state);
      book.foundNothing(state, { parkedForMs: ms });
    }
    expect(timers.size).toBe(2);
    book.wake(lane('a'));
    expect(timers.size).toBe(1);
    book.close();
    expect(timers.size).toBe(0);
  });

  it('keeps a parked lane while another request for it is under way', () => {
    const { book } = newBook();
    const state = beginA(book, 2);
    book.foundNothing(state, 'parked');
    expect(book.size).toBe(1);
    book.found(state);
    expect([state.isReady, state.running, state.tenant.held]).toEqual([true, 1, 1]);
  });

  it('makes a lane ready again that another reply parked meanwhile', () => {
    for (const next of ['seen', 'ready'] as const) {
      const { book } = newBook();
      const state = beginA(book, 2);
      book.foundNothing(state, 'parked');
      book.foundNothing(state, next);
      expect([state.isReady, book.find(lane('a')) === state]).toEqual([true, true]);
    }
  });

  it('remembers no more than 50,000 lanes', () => {
    const { book } = newBook();
    for (let at = 0; at <= 50_000; at += 1) book.wake(lane(`t${at}`));
    expect(book.size).toBe(50_000);
  });

  it('charges nothing for a request that found nothing', () => {
    const { book } = newBook();
    const state = beginA(book);
    book.foundNothing(state, 'ready');
    expect([state.served, state.tenant.served, state.tenant.load]).toEqual([0, 0, 0]);
  });
});

describe("a job's needs", () => {
  const usual = { memoryBytes: 1, diskBytes: 2, cpus: 3 };

  it.each([
    ['v1 10 20 0.5', { memoryBytes: 10, diskBytes: 20, cpus: 0.5 }],
    ['v1 10 - -', { memoryBytes: 10, diskBytes: 2, cpus: 3 }],
    ['v1 - - 0.5', { memoryBytes: 1, diskBytes: 2, cpus: 0.5 }],
    ['v1', usual],
    ['', usual],
    ['v1 10 20', usual],
    ['v1 -1 20 1', usual],
    ['v1 1e3 20 1', usual],
    ['v1 9999999999999999 1 1', usual],
    ['v2 10 20 1', usual],
    ['v1 10 20 1 ', usual],
  ])('are read from the name %j', (name, needs) => {
    expect(parseJobNeeds(name, usual)).toEqual(needs);
  });

  it('are never more than what a job may have: room would be kept free for them', () => {
    const most = { memoryBytes: 2 ** 30, cpus: 2 };
    expect(parseJobNeeds('v1 999999999999999 4096 64', usual, most)).toEqual({
      ...{ memoryBytes: 2 ** 30, diskBytes: 4_096, cpus: 2 },
    });
  });
});

it('a lane whose only job is due later is not asked before, unless its bell rings', () => {
  const { book, timers } = newBook();
  book.expect(lane('a'), 5_000);
  book.expect(lane('b'), 6_000);
  expect(book.ready.size).toBe(0);
  timers.get(5_000)?.();
  book.wake(lane('b'));
  expect(book.ready.size).toBe(2);
  expect([...timers.keys()]).toEqual([]);
});

it('any number of lanes with jobs that are due later keep no lane out', () => {
  const { book } = newBook();
  for (let count = 0; count < 60_000; count += 1) {
    book.expect(lane('hostile', 'q', `c${count}`), 1_000_000 + count);
  }
  book.wake(lane('victim'));
  expect(choose(book).tenant.name).toBe('victim');
  expect(book.size).toBeLessThanOrEqual(50_000);
});
