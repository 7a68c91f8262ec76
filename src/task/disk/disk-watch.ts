/** Measures a task's disk space while the task runs, and reports when the space is full. */
import { freeBytesAt } from '../../sys/files.ts';
import type { DiskSample, TaskDisk } from './task-disk.ts';

export interface DiskReport {
  readonly peakBytes: number;
  readonly peakInodes: number;
  /** Whether any measurement found the task's space full. */
  readonly wasFull: boolean;
  /** Whether any measurement found the host's disk full. */
  readonly wasHostFull: boolean;
}

export interface DiskWatchOptions {
  /** A folder on the filesystem that all tasks share. */
  readonly hostFolder: string;
  /** Called once, when a measurement first finds the space full. */
  readonly onFull: () => void;
}

const FIRST_LOOK_MS = 25;
const SOONEST_MS = 10;
const LATEST_MS = 1000;
/** How many measurements to make before the space would be full at the current rate. */
const LOOKS_AHEAD = 4;
/** Measurements may take one part in this many of the time, so slow ones are made less often. */
const SHARE = 20;
/** A filesystem with less free space counts as full. */
const FULL_BELOW_BYTES = 1024 * 1024;

interface Look {
  readonly at: number;
  /** Bytes or inodes used as a share of their limit, whichever share is larger. */
  readonly share: number;
}

export type DiskWatch = ReturnType<typeof openDiskWatch>;

export function openDiskWatch(disk: TaskDisk, { hostFolder, onFull }: DiskWatchOptions) {
  const report = { peakBytes: 0, peakInodes: 0, wasFull: false, wasHostFull: false };
  let last: Look | undefined;
  let delayMs = FIRST_LOOK_MS;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let hasEnded = false;
  const note = ({ bytes, inodes, isFull }: DiskSample) => {
    report.peakBytes = Math.max(report.peakBytes, bytes);
    report.peakInodes = Math.max(report.peakInodes, inodes);
    if (freeBytesAt(hostFolder) < FULL_BELOW_BYTES) report.wasHostFull = true;
    if (!isFull || report.wasFull) return;
    report.wasFull = true;
    onFull();
  };
  const plan = (look: Look, leastMs: number) => {
    const before = last;
    last = look;
    if (before === undefined) return;
    const grown = look.share - before.share;
    const untilFullMs = ((1 - look.share) / grown) * (look.at - before.at);
    const wanted = grown > 0 ? untilFullMs / LOOKS_AHEAD : delayMs * 2;
    delayMs = Math.max(leastMs, Math.min(LATEST_MS, Math.max(SOONEST_MS, wanted)));
  };
  const look = async () => {
    const began = performance.now();
    const measured = disk.measure();
    const sample = measured instanceof Promise ? await measured : measured;
    note(sample);
    const now = performance.now();
    const { limit } = disk;
    const share = Math.max(sample.bytes / limit.bytes, sample.inodes / limit.inodes);
    plan({ at: now, share }, (now - began) * SHARE);
  };
  const start = () => {
    // A measurement fails when descriptors run out: the next one retries.
    looking = look().catch(() => undefined);
    void looking.then(() => {
      if (!hasEnded) timer = setTimeout(start, delayMs);
    });
  };
  /** Measures a last time. Call it before anything is removed. Rejects if this measurement fails. */
  const finish = async (): Promise<DiskReport> => {
    hasEnded = true;
    clearTimeout(timer);
    await looking;
    await look();
    return report;
  };
  return { start, finish };
}
