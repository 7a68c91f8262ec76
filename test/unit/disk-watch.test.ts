/** When a task's disk space is checked, and what the checks find together. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openDiskWatch } from '../../src/task/disk/disk-watch.ts';
import type { DiskSample, TaskDisk } from '../../src/task/disk/task-disk.ts';

const LIMIT = { bytes: 1_000_000, inodes: 1000 };

/** Disk space that counts its checks; `now` sets what the next one finds. */
function openFakeDisk() {
  const state = { now: { bytes: 0, inodes: 0, isFull: false } as DiskSample, looks: 0 };
  const nothing = () => undefined;
  const disk: TaskDisk = {
    mechanism: 'volume',
    limit: LIMIT,
    detach: () => Promise.resolve(),
    measure() {
      state.looks += 1;
      return state.now;
    },
    keep: nothing,
    close: nothing,
    handOver: nothing,
    remove: () => Promise.resolve(),
  };
  const onFull = vi.fn();
  return { state, onFull, watch: openDiskWatch(disk, { hostFolder: '/', onFull }) };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a task that ends at once is checked twice', async () => {
  const { state, watch } = openFakeDisk();
  watch.start();
  state.now = { bytes: 4096, inodes: 1, isFull: false };
  expect(await watch.finish()).toEqual({
    peakBytes: 4096,
    peakInodes: 1,
    wasFull: false,
    wasHostFull: false,
  });
  expect(state.looks).toBe(2);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(state.looks).toBe(2);
});

test('a disk that was full between start and end counts, and is reported once', async () => {
  const { state, onFull, watch } = openFakeDisk();
  watch.start();
  state.now = { bytes: 1_000_000, inodes: 3, isFull: true };
  await vi.advanceTimersByTimeAsync(1000);
  expect(state.looks).toBeGreaterThan(2);
  expect(onFull).toHaveBeenCalledTimes(1);
  state.now = { bytes: 0, inodes: 0, isFull: false };
  expect(await watch.finish()).toMatchObject({
    peakBytes: 1_000_000,
    peakInodes: 3,
    wasFull: true,
  });
});

test('an idle task is checked less and less often, down to once a second', async () => {
  const { state, watch } = openFakeDisk();
  watch.start();
  await vi.advanceTimersByTimeAsync(10_000);
  const before = state.looks;
  expect(before).toBeLessThan(20);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(state.looks - before).toBe(60);
  await watch.finish();
});

test('a task that fills its disk is checked more often, the sooner the disk may be full', async () => {
  const { state, watch } = openFakeDisk();
  watch.start();
  await vi.advanceTimersByTimeAsync(10_000);
  const before = state.looks;
  // A tenth in a second: full in nine more.
  state.now = { bytes: 100_000, inodes: 0, isFull: false };
  await vi.advanceTimersByTimeAsync(1000);
  expect(state.looks - before).toBeLessThan(3);
  for (let inodes = 100; inodes < 1000; inodes += 100) {
    state.now = { bytes: 100_000, inodes, isFull: false };
    await vi.advanceTimersByTimeAsync(20);
  }
  await vi.advanceTimersByTimeAsync(1000);
  expect(state.looks - before).toBeGreaterThan(4);
  await watch.finish();
});
