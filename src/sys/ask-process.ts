/**
 * Reads a process's own /proc entries. A task can delay such a read, so reads run on pool threads, two at a time. A caller waits at most a
 * second; a process that has not answered by then counts as unknown.
 */
import { readFile } from 'node:fs';
import { atMost, within } from '../core/pause.ts';
import { type ProcessFile, parseStat, statusBits } from './processes.ts';

/** A task can delay each read until its process is killed. The pool has four threads by default. */
const READS_AT_ONCE = 2;
const ANSWERS_WITHIN_MS = 1_000;

/** `handled`: by a handler or sigwait(3). `blocked`: masked for now, or left to signalfd(2). `dropped`: neither. */
export type SignalDisposition = 'handled' | 'blocked' | 'dropped';

/** Number of rt_sigtimedwait(2). */
const SIGWAIT = process.arch === 'arm64' ? '137' : '128';

/** {@link ProcessInfo.executed} of a task's process; undefined if the process is gone or does not answer in time. */
export async function hasExecuted(pid: number): Promise<boolean | undefined> {
  const stat = await ask(pid, 'stat');
  return stat === undefined ? undefined : parseStat(pid, stat).executed;
}

/**
 * How a pid 1 would treat a signal from its own or a parent pid namespace: KILL excepted, the kernel drops a signal that pid 1 neither handles
 * nor blocks. Ask before you send the signal, which would change the answer. Undefined if the process does not answer.
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
  // The kernel does not show signals as blocked while a process waits for them in sigwait(3).
  if ((await ask(pid, 'syscall'))?.split(' ', 1)[0] === SIGWAIT) return 'handled';
  return has('SigBlk') ? 'blocked' : 'dropped';
}

const readings = atMost(READS_AT_ONCE);

/**
 * The text of a /proc entry; undefined if the read fails or takes too long. Never rejects.
 *
 * @param readIt Reads this path on pool threads; resolves to undefined if the read fails.
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
