/**
 * Reads from /proc which processes exist and still run. All calls are synchronous, and cheap for processes of the host. A running task can delay
 * them: for its processes, use `handled-process.ts` and `ask-process.ts`.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { StackshimError, unlessFailed } from '../core/errors.ts';
import { isOfHost } from './handled-process.ts';

/** Identifies a process, as opposed to a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
}

/** A task's owner: a process of one boot, or one of its threads. */
export interface Owner extends ProcessIdentity {
  readonly bootId: string;
  /** The owning thread, unless it is the first: a thread may end before its process. Its `pid` is the thread's id. */
  readonly thread?: ProcessIdentity;
}

export interface ProcessInfo extends ProcessIdentity {
  readonly ppid: number;
  /** One letter of proc_pid_stat(5): `R`, `S`, `Z`, … */
  readonly state: string;
  readonly comm: string;
  readonly threads: number;
  /** False until the process first executes a program after fork: PF_FORKNOEXEC. Cannot be forged; a zombie keeps it until reaped. */
  readonly executed: boolean;
}

const PF_FORKNOEXEC = 0x40;

/** The state of a process; undefined if it does not exist or was reaped. Precondition: the process runs no program of a task, or has ended. */
export function readProcess(pid: number): ProcessInfo | undefined {
  return readStat(pid, String(pid));
}

/** @param folder The folder of the process below /proc, or of one of its threads; then `pid` is the thread's id. */
function readStat(pid: number, folder: string): ProcessInfo | undefined {
  const text = readProcFile(folder, 'stat');
  return text === undefined ? undefined : parseStat(pid, text);
}

/** The fields after the name in /proc/PID/stat, beginning with the third of proc_pid_stat(5). */
export const statFields = (text: string): readonly string[] =>
  text.slice(text.lastIndexOf(')') + 2).split(' ');

/** Parses /proc/PID/stat of a process or thread. */
export function parseStat(pid: number, text: string): ProcessInfo {
  // The name is in parentheses, and may itself contain parentheses, spaces and newlines.
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = statFields(text);
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

/** The kernel's id of the thread that runs this JavaScript; the first thread's id is the pid. */
const threadId = (): number => Number(readlinkSync('/proc/thread-self').split('/').at(-1));

/** Whether this is the process's first thread. Avoids `node:worker_threads`, which takes the executable 1 ms to load. */
export const isMainThread = (): boolean => threadId() === process.pid;

/** Whether exactly this process still runs. A zombie does not run. Precondition: as for {@link readProcess}. */
export function isAlive(identity: ProcessIdentity): boolean {
  const found = readProcess(identity.pid);
  if (found === undefined || found.startTime !== identity.startTime) return false;
  // The first thread may be a zombie while others run or are still ending.
  return !/[ZXx]/.test(found.state) || found.threads > 1;
}

/** The given signals that this process does not ignore. At its start, a process ignores what its parent ignored then. */
export function unignoredSignals<T extends NodeJS.Signals>(names: readonly T[]): readonly T[] {
  const status = readProcFile(process.pid, 'status') ?? '';
  const ignored = statusBits(status, 'SigIgn');
  return names.filter((name) => (ignored & (1n << BigInt(constants.signals[name] - 1))) === 0n);
}

/** Sends a signal. Does nothing if the process is gone. */
export function signalProcess(pid: number, signal: number): void {
  unlessFailed(() => process.kill(pid, signal), ['ESRCH']);
}

let knownBootId: string | undefined;

/** The kernel's random id of the current boot. */
export function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return knownBootId;
}

let knownOwner: Owner | undefined;

/** This process as an owner, with all its threads. */
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
    const message = 'read /proc/self/stat: no such file';
    throw new StackshimError('ERR_STACKSHIM_SYSTEM', message, { hint: 'mount /proc' });
  }
  const owner = { pid: self.pid, startTime: self.startTime, bootId: bootId() };
  if (tid === self.pid) return owner;
  return { ...owner, thread: { pid: tid, startTime: thread.startTime } };
}

const readThread = (pid: number, tid: number) => readStat(tid, `${pid}/task/${tid}`);

/** Whether an owner still runs. False for an owner of an earlier boot, and if a task's process has the pid now. */
export function isOwnerAlive(owner: Owner): boolean {
  if (owner.bootId !== bootId() || !isOfHost(owner.pid) || !isAlive(owner)) return false;
  if (owner.thread === undefined) return true;
  const found = readThread(owner.pid, owner.thread.pid);
  return found?.startTime === owner.thread.startTime && !/[ZXx]/.test(found.state);
}

/** Pids of running programs of the host whose arguments match (the first is the program's name). Reads all of /proc: not for the task path. */
export function findProcesses(isLike: (args: readonly string[]) => boolean): readonly number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.filter(
    (pid) => isOfHost(pid) && isLike(readProcFile(pid, 'cmdline')?.split('\0') ?? []),
  );
}

/** The bits of a hexadecimal field in /proc/PID/status. */
export function statusBits(status: string, name: string): bigint {
  const digits = new RegExp(`^${name}:\\t([0-9a-f]+)$`, 'm').exec(status)?.[1];
  return BigInt(`0x${digits ?? '0'}`);
}

/** Entries of /proc/PID that stackshim reads. */
export type ProcessFile = 'stat' | 'status' | 'cmdline' | 'syscall';

function readProcFile(folder: number | string, name: ProcessFile): string | undefined {
  return unlessFailed(() => readFileSync(`/proc/${folder}/${name}`, 'utf8'), ['ENOENT', 'ESRCH']);
}

const signalNames = new Map<number, string>(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
);

/** `SIGKILL` for 9; `SIG34` for a signal without a name. */
export const signalName = (signal: number) => signalNames.get(signal) ?? `SIG${signal}`;
