/**
 * When a process ended that nobody has waited for yet. The kernel keeps no time of an exit; but the scheduler keeps, of a zombie as well,
 * when it last stopped running, on a clock that each processor has for itself (/proc/PID/sched).
 */
import { readFileSync } from 'node:fs';
import { invoke } from './invoke.ts';

const [SCHED_SETAFFINITY, SCHED_GETAFFINITY, SCHED_YIELD] =
  process.arch === 'arm64' ? [122, 123, 124] : [203, 204, 24];
/** A set of 8,192 processors: as many as the kernel can have. */
const CPU_SET_BYTES = 1_024;
/** Of the fields of proc_pid_stat(5) after the name. */
const PROCESSOR = 36;

/**
 * Milliseconds since a zombie ended; undefined where that cannot be told: a kernel without /proc/PID/sched (before 6.15 a build option), or
 * a processor that this process may not use. It is the end of the process's first thread, mostly the last to go. For rare use: this thread
 * moves to the zombie's processor for a moment.
 */
export function msSinceExit(pid: number): number | undefined {
  try {
    const endedAt = lastRunMs(String(pid));
    const sinceMs = onProcessor(processorOf(pid), () => lastRunMs('thread-self')) - endedAt;
    return sinceMs >= 0 ? sinceMs : undefined;
  } catch {
    // Whatever keeps it from being told: the caller has another answer.
    return undefined;
  }
}

function lastRunMs(folder: string): number {
  const text = readFileSync(`/proc/${folder}/sched`, 'utf8');
  const found = /^se\.exec_start\s*:\s*(\d+\.\d+)$/m.exec(text)?.[1];
  if (found === undefined) throw new Error(`/proc/${folder}/sched does not tell`);
  return Number(found);
}

function processorOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[PROCESSOR]);
}

/** Calls `look` on a processor, right after the scheduler has brought this thread's entry up to date. */
function onProcessor<T>(processor: number, look: () => T): T {
  const before = affinity();
  const one = Buffer.alloc(CPU_SET_BYTES);
  one[processor >> 3] = 1 << (processor & 7);
  setAffinity(one);
  try {
    invoke({ name: 'sched_yield' }, 'syscall', SCHED_YIELD);
    return look();
  } finally {
    restore(before);
  }
}

/** Where nothing but its cpuset had bound this thread, it is to follow that one's changes again. */
function restore(before: Buffer): void {
  setAffinity(Buffer.alloc(CPU_SET_BYTES, 0xff));
  if (!affinity().equals(before)) setAffinity(before);
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
