/** Starts a further command in a running container, under a guard (`exec-guard.ts`), and follows it to its end. */
import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { StackshimError, unlessMissing } from '../core/errors.ts';
import { openPromise, within } from '../core/pause.ts';
import { findProgram } from '../sys/find-program.ts';
import { fdPath } from '../sys/paths.ts';
import { drainPipe, fillPipe } from '../sys/pipes.ts';
import {
  openNullDevice,
  type StartedProgram,
  SYSTEM_PATH,
  startProgram,
} from '../sys/start-program.ts';
import type { Fd, ProcessExit, System } from '../sys/system.ts';
import { driverOf, programOf } from './drivers/driver-of.ts';
import type { ExecDriver } from './drivers/runtime-driver.ts';
import { EXEC_GUARD, PROCESS_FD } from './exec-guard.ts';
import type { ContainerReference, ExecFiles, Runtime } from './runtime.ts';

export interface ExecOptions {
  readonly container: ContainerReference;
  readonly files: ExecFiles;
  readonly logFile: string;
  /** Become the command's stdin, stdout and stderr, as when creating a container. The caller closes its copies. */
  readonly stdio: readonly [Fd, Fd, Fd];
  /** Kills the runtime and what it started after this time. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface ExecutedEnd {
  readonly exit: ProcessExit;
  /** False: the runtime's process never became the command. */
  readonly executed: boolean;
}

/** A command that runs or has already ended. */
export interface ExecutedCommand {
  /** Host pid of the command; with a sandbox, of the program that ends like it. Another process waits for it. */
  readonly pid: number;
  /** Whether the command is a process of the host. */
  readonly isOnHost: boolean;
  /** Resolves when the command has ended; to undefined if its end is unknown because the guard was killed. */
  readonly ended: Promise<ExecutedEnd | undefined>;
  /** Signals the command and its process group; in a sandbox, only the command. Never throws. */
  signal(signal: number): void;
  /** Lets go of the command; if it still runs, the guard kills it. Always call this; a second call does nothing. */
  close(): void;
}

/** How long a guard may take to kill its processes. */
const KILLED_WITHIN_MS = 5_000;

/** A command that is being started. */
export interface BegunExec {
  /**
   * Starts a process, given as JSON; resolves when it runs. Rejects with ERR_STACKSHIM_COMMAND_NOT_FOUND, _COMMAND_NOT_EXECUTABLE, _SPEC_INVALID
   * or _RUNTIME_FAILED as when creating a container, and with _RUNTIME_FAILED if the runtime does not finish in time (`details.reason`:
   * `timeout`, `aborted`); everything it started was killed by then.
   */
  finish(process: string): Promise<ExecutedCommand>;
  /** Call this if no process is started. The runtime has done nothing, and has ended when this resolves. Does nothing after `finish`. */
  cancel(): Promise<void>;
}

/**
 * Begins to start a command. A runtime that reads the process once starts at once and waits at a pipe: while the large program loads, the caller
 * checks whether the command may be started at all. Other runtimes start once the process is known. Throws ERR_STACKSHIM_HOST_UNSUPPORTED if the
 * runtime does not support this, and _TOOL_MISSING.
 */
export function beginExec(system: System, runtime: Runtime, options: ExecOptions): BegunExec {
  const exec = requireExec(runtime, options.container);
  const begin = (processFile: string, process: Fd) => {
    const files = { ...options.files, processFile };
    const args = toArguments(runtime, exec, { ...options, files });
    return startGuard(system, [...options.stdio, process], args);
  };
  const finish = async (guard: Guard) => {
    try {
      return await followStart(runtime, exec, guard, options);
    } catch (error) {
      await endGuard(guard);
      throw error;
    }
  };
  if (!driverOf(runtime).readsConfigOnce) {
    return {
      async finish(process) {
        writeFileSync(options.files.processFile, process, { mode: 0o600 });
        const nothing = openNullDevice('input');
        const guard = begin(options.files.processFile, nothing);
        void guard.handedOver.then(() => closeSync(nothing));
        return await finish(guard);
      },
      cancel: () => Promise.resolve(),
    };
  }
  const [readEnd, writeEnd] = system.createPipe();
  let isOpen = true;
  const closePipe = () => {
    if (isOpen) system.close(writeEnd);
    isOpen = false;
  };
  let guard: Guard;
  try {
    guard = begin(fdPath(PROCESS_FD), readEnd);
  } catch (error) {
    system.close(readEnd);
    closePipe();
    throw error;
  }
  void guard.handedOver.then(() => system.close(readEnd));
  return {
    async finish(process) {
      // Not awaited: a runtime that the task delays reads nothing until it times out and is killed.
      fillPipe(writeEnd, process)
        .catch(() => undefined)
        .finally(closePipe);
      return await finish(guard);
    },
    async cancel() {
      if (!isOpen) return;
      guard.close();
      closePipe();
      await endGuard(guard);
    },
  };
}

/** Waits until the command runs. */
async function followStart(
  runtime: Runtime,
  exec: ExecDriver,
  guard: Guard,
  options: ExecOptions,
): Promise<ExecutedCommand> {
  await guard.program.running;
  const text = await waitForBegin(guard, options);
  const pid = await toPid(runtime, text, options);
  const { container, files } = options;
  const inner = unlessMissing(() => readFileSync(files.innerPidFile, 'latin1')) ?? '';
  const innerPid = /^\d{1,10}$/.test(inner) ? Number(inner) : 0;
  const signalInside = innerPid > 0 ? exec.signaller?.(container, innerPid) : undefined;
  return {
    pid,
    isOnHost: signalInside === undefined,
    ended: guard.end.then((line) => toEnd(exec, line)),
    signal: signalInside ?? ((signal) => guard.write(signal)),
    close: guard.close,
  };
}

function requireExec(runtime: Runtime, { id }: ContainerReference): ExecDriver {
  const { exec } = driverOf(runtime);
  if (exec !== undefined) return exec;
  const text = `execute in task ${id}: its runtime ${runtime.path} is none of runc, crun and runsc`;
  throw new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', text, {
    hint: 'run the task with runc, crun or runsc',
    details: { runtime: runtime.path },
  });
}

function toArguments(
  runtime: Runtime,
  exec: ExecDriver,
  { container, files, logFile }: ExecOptions,
): readonly string[] {
  const sandbox =
    exec.signaller === undefined
      ? ['', '', '']
      : [files.innerPidFile, container.stateRoot, container.id];
  return [
    ...['-f', '-e', EXEC_GUARD, '--', files.pidFile, ...sandbox],
    programOf(runtime),
    ...driverOf(runtime).toArguments({ ...container, logFile }),
    ...exec.toArguments(container, files),
  ];
}

interface Guard {
  readonly program: StartedProgram;
  /** Resolves when the guard has its own copies of the descriptors, or could not be started. Never rejects. */
  readonly handedOver: Promise<void>;
  /** Lines from the guard; empty if it ended without them. */
  readonly begin: Promise<string>;
  readonly end: Promise<string>;
  write(signal: number): void;
  close(): void;
}

/** @param stdio The command's three descriptors, then the process to read, for a runtime that reads it once. */
function startGuard(system: System, stdio: readonly Fd[], args: readonly string[]): Guard {
  const path = findProgram('perl', { package: 'perl-base' });
  const open: Fd[] = [];
  const pipe = () => {
    const ends = system.createPipe();
    open.push(...ends);
    return ends;
  };
  const closeAll = (fds: readonly Fd[]) => {
    for (const fd of fds) system.close(fd);
  };
  try {
    const [[lifelineEnd, lifeline], [begin, beginEnd], [end, endEnd]] = [pipe(), pipe(), pipe()];
    const theirs = [lifelineEnd, beginEnd, endEnd];
    const env = { PATH: SYSTEM_PATH };
    const program = startProgram({ path, args, env, stdio: [...stdio, ...theirs] });
    const handOver = () => closeAll(theirs);
    // Handles a rejection, too: the caller also awaits `running`.
    const handedOver = program.running.then(handOver, handOver);
    let isOpen = true;
    return {
      program,
      handedOver,
      begin: readLine(begin),
      end: readLine(end),
      // The pipe takes one byte at once.
      write: (signal) => void (isOpen && fillPipe(lifeline, String.fromCharCode(signal))),
      close() {
        if (isOpen) system.close(lifeline);
        isOpen = false;
      },
    };
  } catch (error) {
    closeAll(open);
    throw error;
  }
}

/** Resolves to the first line; if the other end closes earlier, to the part received. */
function readLine(fd: Fd): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const drain = drainPipe(fd, (chunk) => {
      text += Buffer.from(chunk).toString('latin1');
      if (!text.endsWith('\n')) return;
      resolve(text);
      drain.finish();
    });
    const give = () => resolve(text);
    drain.ended.then(give, give);
  });
}

/** Makes the guard kill its processes, and waits for its end. A second call does nothing. */
async function endGuard({ program, close }: Guard): Promise<void> {
  close();
  // The caller awaits `running`, which says why the guard could not be started.
  const ended = program.exited.catch(() => undefined);
  await within(ended, KILLED_WITHIN_MS);
  program.killAll();
}

async function waitForBegin(
  guard: Guard,
  { container, timeoutMs, signal }: ExecOptions,
): Promise<string> {
  const { promise: stopped, resolve } = openPromise<undefined>();
  const stop = () => resolve(undefined);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    const text = await within(Promise.race([guard.begin, stopped]), timeoutMs);
    if (text !== undefined) return text;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  await endGuard(guard);
  const [reason, why] = signal.aborted
    ? ['aborted', 'aborted']
    : ['timeout', `the command did not start within ${timeoutMs / 1000}s`];
  const text = `execute in task ${container.id}: ${why}`;
  const hint =
    'a filesystem of the task, its limits of processes and memory, or the load of the host may hold it up; run it again';
  throw new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', text, { hint, details: { reason } });
}

/** The command's pid; throws the runtime's failure. */
async function toPid(
  runtime: Runtime,
  text: string,
  { container, logFile }: ExecOptions,
): Promise<number> {
  const [, status = '', pid = ''] = /^(\d{1,3}) (\d{1,10})\n$/.exec(text) ?? [];
  if (status === '0' && Number(pid) > 1) return Number(pid);
  const { toRuntimeFailure } = await import('./runtime-failure.ts');
  const operation = `execute in task ${container.id}`;
  const exitCode = status === '' ? null : Number(status);
  throw toRuntimeFailure(runtime, { operation, logFile, exitCode });
}

function toEnd(exec: ExecDriver, line: string): ExecutedEnd | undefined {
  const match = /^(\d{1,3}) (\d{1,3}) ([01])\n$/.exec(line);
  if (match === null) return undefined;
  const [code = 0, signal = 0, ran] = match.slice(1).map(Number);
  const exit = signal === 0 ? { exitCode: code, signal: null } : { exitCode: null, signal };
  return { exit: exec.toExit(exit), executed: ran === 1 };
}
