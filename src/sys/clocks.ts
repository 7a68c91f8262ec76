/** Times that the engine does not report: the clock that all processes share, event loop delays, a process's exit time. */
import { readFileSync } from 'node:fs';
import { invoke } from './invoke.ts';
import { statFields } from './processes.ts';

const CLOCK_GETTIME = process.arch === 'arm64' ? 113 : 228;
const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;

/**
 * Milliseconds on the clock that all processes of a host share and nobody can set: clock_gettime(2). Like timers, it stops during suspend.
 * `process.hrtime` does not fit: in the executable it counts from the start of the process.
 */
export const monotonicMs = (): number => readClock(CLOCK_MONOTONIC);

/** Like {@link monotonicMs}, but including the time that the machine was suspended: other machines go on meanwhile. */
export const bootMs = (): number => readClock(CLOCK_BOOTTIME);

function readClock(clock: number): number {
  // struct timespec: seconds, nanoseconds.
  const time = Buffer.alloc(16);
  invoke({ name: 'clock_gettime' }, 'syscall', CLOCK_GETTIME, clock, time);
  return Number(time.readBigInt64LE(0)) * 1_000 + Number(time.readBigInt64LE(8)) / 1_000_000;
}

const BEAT_MS = 100;
/** Tolerance: a busy loop's beats are slightly late, too. */
const LATE_MS = 50;
/** Events that a delay held back arrive soon afterwards, in any order. */
const AFTERMATH_MS = 1_000;

let users = 0;
let timer: NodeJS.Timeout | undefined;
let lastBeatAt = 0;
let delayedAt = Number.NEGATIVE_INFINITY;

/**
 * Starts to watch this thread's event loop for delays, from synchronous code or because the process was stopped. The returned function stops the
 * watch. Several watches may be active at once. A watch does not keep the event loop alive.
 */
export function watchLoop(): () => void {
  users += 1;
  if (users === 1) {
    lastBeatAt = performance.now();
    timer = setInterval(() => {
      note();
      lastBeatAt = performance.now();
    }, BEAT_MS);
    timer.unref();
  }
  let isWatching = true;
  return () => {
    if (!isWatching) return;
    isWatching = false;
    users -= 1;
    if (users === 0) clearInterval(timer);
  };
}

/** Whether the event loop was delayed within the last second. Precondition: a watch was active all that time. */
export function wasDelayed(): boolean {
  note();
  return performance.now() - delayedAt < AFTERMATH_MS;
}

function note(): void {
  const now = performance.now();
  if (now - lastBeatAt > BEAT_MS + LATE_MS) delayedAt = now;
}

const [SCHED_SETAFFINITY, SCHED_GETAFFINITY, SCHED_YIELD] =
  process.arch === 'arm64' ? [122, 123, 124] : [203, 204, 24];
/** Room for 8,192 processors, the kernel's maximum. */
const CPU_SET_BYTES = 1_024;
/** Index of the processor among the fields of proc_pid_stat(5) that follow the name. */
const PROCESSOR = 36;

/**
 * Milliseconds since a zombie ended. Undefined if unknown: the kernel has no /proc/PID/sched (a build option before Linux 6.15), or this process
 * may not use the zombie's processor. Use it rarely: this thread moves to the zombie's processor for a moment.
 *
 * The kernel stores no exit time. But the scheduler stores when a process last stopped running, for a zombie too, on a clock of each processor.
 * The time is that of the process's first thread, which usually ends last.
 */
export function msSinceExit(pid: number): number | undefined {
  try {
    const endedAt = lastRunMs(String(pid));
    const processor = Number(statFields(readFileSync(`/proc/${pid}/stat`, 'utf8'))[PROCESSOR]);
    const sinceMs = onProcessor(processor, () => lastRunMs('thread-self')) - endedAt;
    return sinceMs >= 0 ? sinceMs : undefined;
  } catch {
    // On any error the time is unknown, which callers handle.
    return undefined;
  }
}

function lastRunMs(folder: string): number {
  const text = readFileSync(`/proc/${folder}/sched`, 'utf8');
  const found = /^se\.exec_start\s*:\s*(\d+\.\d+)$/m.exec(text)?.[1];
  if (found === undefined) throw new Error(`/proc/${folder}/sched has no se.exec_start`);
  return Number(found);
}

/** Calls `look` on a processor, right after the scheduler has updated this thread's entry. */
function onProcessor<T>(processor: number, look: () => T): T {
  const before = affinity();
  const one = Buffer.alloc(CPU_SET_BYTES);
  one[processor >> 3] = 1 << (processor & 7);
  setAffinity(one);
  try {
    invoke({ name: 'sched_yield' }, 'syscall', SCHED_YIELD);
    return look();
  } finally {
    // If only its cpuset restricted this thread before, the thread must follow changes of that cpuset again.
    setAffinity(Buffer.alloc(CPU_SET_BYTES, 0xff));
    if (!affinity().equals(before)) setAffinity(before);
  }
}

function affinity(): Buffer {
  const processors = Buffer.alloc(CPU_SET_BYTES);
  const as = { name: 'sched_getaffinity' };
  const length = invoke(as, 'syscall', SCHED_GETAFFINITY, 0, CPU_SET_BYTES, processors);
  return processors.subarray(0, length);
}

function setAffinity(processors: Buffer): void {
  const as = { name: 'sched_setaffinity' };
  invoke(as, 'syscall', SCHED_SETAFFINITY, 0, processors.length, processors);
}
