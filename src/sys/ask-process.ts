/**
 * Reads a process's own /proc entries. A task can make such a read wait, so the reads run on threads of the pool, two at a time, and
 * the caller waits a second at most: a process that does not answer in time counts as unknown.
 */
import { readFile } from 'node:fs';
import { atMost, within } from '../core/pause.ts';
import { type ProcessFile, parseStat, statusBits } from './processes.ts';

/** A task may delay each read until its process is killed; the pool has four threads by default. */
const READS_AT_ONCE = 2;
const ANSWERS_WITHIN_MS = 1_000;

/** `handled`: by a handler or by sigwait(3). `blocked`: for now, or to be read by signalfd(2). `dropped`: neither. */
export type SignalDisposition = 'handled' | 'blocked' | 'dropped';

/** rt_sigtimedwait(2). */
const SIGWAIT = process.arch === 'arm64' ? '137' : '128';

/** {@link ProcessInfo.executed} of a process that a task runs; undefined when the process is gone or does not answer in time. */
export async function hasExecuted(pid: number): Promise<boolean | undefined> {
  const stat = await ask(pid, 'stat');
  return stat === undefined ? undefined : parseStat(pid, stat).executed;
}

/**
 * What a pid 1 would do with a signal from inside or from a parent namespace: the kernel drops a signal that pid 1 neither handles nor
 * blocks, KILL excepted. Ask before the signal is sent: its effect would change the answer. Undefined: the process does not answer.
 */
export async function signalDisposition(
  pid: number,
  signal: number,
): Promise<SignalDisposition | undefined> {
  const bit = 1n << BigInt(signal - 1);
  const status = await ask(pid, 'status');
  if (status === undefined) return undefined;
  const has = (name: string) => (statusBits(status, name) & bit) !== 0n;
  if (has('SigCgt')) return 'handled';
  // While a process waits in sigwait(3) the kernel does not show the signals it waits for as blocked.
  if ((await ask(pid, 'syscall'))?.split(' ', 1)[0] === SIGWAIT) return 'handled';
  return has('SigBlk') ? 'blocked' : 'dropped';
}

const readings = atMost(READS_AT_ONCE);

/**
 * The text of an entry; undefined when it cannot be read, or not in time. Never rejects.
 *
 * @param readIt Reads the file with this path on threads of the pool; undefined: it cannot be read.
 */
export async function ask(
  pid: number,
  name: ProcessFile,
  readIt: (path: string) => Promise<string | undefined> = readWhole,
): Promise<string | undefined> {
  let isLate = false;
  const path = `/proc/${pid}/${name}`;
  const text = readings(() => (isLate ? Promise.resolve(undefined) : readIt(path)));
  try {
    return await within(text, ANSWERS_WITHIN_MS);
  } finally {
    isLate = true;
  }
}

function readWhole(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    readFile(path, 'utf8', (error, text) => resolve(error === null ? text : undefined));
  });
}
