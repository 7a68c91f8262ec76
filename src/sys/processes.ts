/**
 * Processes as /proc tells of them: who they are, whether they still are. All calls are synchronous, and cheap for processes of the
 * host; those of a running task can make them wait: `handled-process.ts` and `ask-process.ts` are for these.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { errnoCodeOf, StackshimError, unlessMissing } from '../core/errors.ts';
import { isOfHost } from './handled-process.ts';

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
}

/** The owner of a task: a process of one boot, or one thread of it. */
export interface Owner extends ProcessIdentity {
  readonly bootId: string;
  /** Where it is not the first: the thread may end before its process does. Its `pid` is the thread's id. */
  readonly thread?: ProcessIdentity;
}

export interface ProcessInfo extends ProcessIdentity {
  readonly ppid: number;
  /** One letter of proc_pid_stat(5): `R`, `S`, `Z`, … */
  readonly state: string;
  readonly comm: string;
  readonly threads: number;
  /**
   * False while the process still runs the program that it was forked from: the kernel's PF_FORKNOEXEC.
   * It cannot be forged, and a zombie keeps it until it is waited for.
   */
  readonly executed: boolean;
}

const PF_FORKNOEXEC = 0x40;

/**
 * A process as it is now; undefined when there is none (one that was waited for included). Precondition: it runs nothing of a task, or
 * has ended.
 */
export function readProcess(pid: number): ProcessInfo | undefined {
  return readStat(pid, String(pid));
}

/** @param folder Below /proc: of the process, or of one of its threads, which `pid` is the id of then. */
function readStat(pid: number, folder: string): ProcessInfo | undefined {
  const text = readProcFile(folder, 'stat');
  return text === undefined ? undefined : parseStat(pid, text);
}

/** The text of /proc/PID/stat, of a process or a thread. */
export function parseStat(pid: number, text: string): ProcessInfo {
  // The name stands in parentheses and may itself hold parentheses, spaces and newlines.
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  const state = fields[0];
  const ppid = Number(fields[1]);
  const flags = Number(fields[6]);
  const threads = Number(fields[17]);
  const startTime = Number(fields[19]);
  if (open < 0 || close < open || !state || !Number.isSafeInteger(startTime)) {
    throw new StackshimError('ERR_STACKSHIM_SYSTEM', `read /proc/${pid}/stat: malformed`);
  }
  const executed = (flags & PF_FORKNOEXEC) === 0;
  const comm = text.slice(open + 1, close);
  return { pid, ppid, startTime, state, comm, threads, executed };
}

/** The kernel's id of the thread that JavaScript runs on here; of a process's first thread it is the pid. */
const threadId = (): number => Number(readlinkSync('/proc/thread-self').split('/').at(-1));

/** Whether JavaScript runs here on the process's first thread. Not from `node:worker_threads`: to load that takes the executable 1 ms. */
export const isMainThread = (): boolean => threadId() === process.pid;

/** Whether this very process still runs. A zombie does not. Precondition: as for {@link readProcess}. */
export function isAlive(identity: ProcessIdentity): boolean {
  const found = readProcess(identity.pid);
  if (found === undefined || found.startTime !== identity.startTime) return false;
  // The first thread may be a zombie while others run, or are still ending.
  return !/[ZXx]/.test(found.state) || found.threads > 1;
}

/** Those of the signals that this process does not ignore: what it was started to ignore it ignores until it changes that. */
export function heededSignals<T extends NodeJS.Signals>(names: readonly T[]): readonly T[] {
  const status = readProcFile(process.pid, 'status') ?? '';
  const ignored = BigInt(`0x${statusField(status, 'SigIgn') ?? '0'}`);
  return names.filter((name) => (ignored & (1n << BigInt(constants.signals[name] - 1))) === 0n);
}

/** Sends a signal; a process that is gone already is fine. */
export function signalProcess(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errnoCodeOf(error) !== 'ESRCH') throw error;
  }
}

let knownBootId: string | undefined;

/** The kernel's random id of this boot. */
export function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return knownBootId;
}

let knownOwner: Owner | undefined;

/** This process with all its threads. */
export function ownProcess(): Owner {
  const { pid, startTime, bootId: boot } = ownIdentity();
  return { pid, startTime, bootId: boot };
}

/** This process as an owner; in a worker thread, that thread. */
export function ownIdentity(): Owner {
  knownOwner ??= readOwnIdentity();
  return knownOwner;
}

function readOwnIdentity(): Owner {
  const tid = threadId();
  const self = readProcess(process.pid);
  const thread = readThread(process.pid, tid);
  if (self === undefined || thread === undefined) {
    throw new StackshimError('ERR_STACKSHIM_SYSTEM', 'read /proc/self/stat: no such file', {
      hint: 'mount /proc',
    });
  }
  const owner = { pid: self.pid, startTime: self.startTime, bootId: bootId() };
  if (tid === self.pid) return owner;
  return { ...owner, thread: { pid: tid, startTime: thread.startTime } };
}

const readThread = (pid: number, tid: number) => readStat(tid, `${pid}/task/${tid}`);

/** Whether an owner still runs: false for every owner of an earlier boot, and where a task's process has its pid by now. */
export function isOwnerAlive(owner: Owner): boolean {
  if (owner.bootId !== bootId() || !isOfHost(owner.pid) || !isAlive(owner)) return false;
  if (owner.thread === undefined) return true;
  const found = readThread(owner.pid, owner.thread.pid);
  return found?.startTime === owner.thread.startTime && !/[ZXx]/.test(found.state);
}

/**
 * Pids of running programs of the host whose arguments, their names first, are like that. Reads all of /proc: not for the task path.
 */
export function findProcesses(isLike: (args: readonly string[]) => boolean): readonly number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.filter(
    (pid) => isOfHost(pid) && isLike(readProcFile(pid, 'cmdline')?.split('\0') ?? []),
  );
}

/** A field in the text of /proc/PID/status. */
export function statusField(status: string, name: string): string | undefined {
  const start = status.indexOf(`\n${name}:\t`);
  if (start < 0) return undefined;
  const from = start + name.length + 3;
  return status.slice(from, status.indexOf('\n', from));
}

/** Entries of /proc/PID that are read. */
export type ProcessFile = 'stat' | 'status' | 'cmdline' | 'syscall';

function readProcFile(folder: number | string, name: ProcessFile): string | undefined {
  return unlessMissing(() => readFileSync(`/proc/${folder}/${name}`, 'utf8'), ['ENOENT', 'ESRCH']);
}
