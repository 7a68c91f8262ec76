/** Feeds a tar to the `mkfs.erofs` process and explains a failure. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, statfs } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import type { ErrorCode } from '../core/error-codes.ts';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { PLAIN_ENVIRONMENT } from '../sys/program-environment.ts';
import { started } from '../sys/started.ts';
import type { Worker } from './claim-worker.ts';
import { keepComplaints, untilWritable } from './filter-streams.ts';
import { codeOfComplaint, lastLine } from './guard-disk.ts';

export interface MkfsRun {
  /** Program and arguments. */
  readonly command: readonly string[];
  /** Its working directory, which also holds its temporary files. */
  readonly folder: string;
  /** The worker under whose id it runs; ended here. */
  readonly worker: Worker;
  /** The code of the error for an exit status other than 0. */
  readonly invalidCode: ErrorCode;
  readonly signal?: AbortSignal | undefined;
}

/** Space that a full disk may still report as free: the kernel rounds, and other processes free space. */
const DISK_SLACK_BYTES = 1024 * 1024;

/**
 * Settles when the process, and every process that it started, has ended; resolves to the bytes of the tar.
 * The first cause wins: abort, then the tar's own failure, then the process's.
 */
export async function runMkfs(tar: AsyncIterable<Buffer>, run: MkfsRun): Promise<number> {
  const { signal } = run;
  const child = await startUnlessAborted(run);
  // If the process dies, the pipe breaks, but the way it died tells more.
  child.stdin.on('error', () => undefined);
  const ended = waitForChild(child, run.worker);
  // Awaited below, possibly after it has rejected.
  ended.catch(() => undefined);
  const stop = (): void => {
    child.kill('SIGKILL');
  };
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  const feeding = await feed(tar, child.stdin);
  if (feeding.failure !== undefined) stop();
  const end = await ended;
  signal?.removeEventListener('abort', stop);
  if (signal?.aborted) throw toAborted(signal);
  if (feeding.failure !== undefined) throw feeding.failure.error;
  if (end.exitCode !== 0) throw await toMkfsError(end, run, feeding.bytes);
  return feeding.bytes;
}

const OPERATION = 'make an EROFS file with mkfs.erofs';

type Child = ChildProcessByStdio<Writable, null, Readable>;

async function startUnlessAborted(run: MkfsRun): Promise<Child> {
  try {
    if (run.signal?.aborted) throw toAborted(run.signal);
    return await start(run);
  } catch (error) {
    await run.worker.end();
    throw error;
  }
}

async function start({ command, folder }: MkfsRun): Promise<Child> {
  const [program = '', ...args] = command;
  try {
    return await started(
      spawn(program, args, {
        cwd: folder,
        // mkfs.erofs keeps the files' contents in TMPDIR until it knows all names.
        env: { ...PLAIN_ENVIRONMENT, TMPDIR: '.' },
        stdio: ['pipe', 'ignore', 'pipe'],
      }),
    );
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', OPERATION);
  }
}

function toAborted(signal: AbortSignal): StackshimError {
  return new StackshimError('ERR_STACKSHIM_TASK_ABORTED', 'make an EROFS file: aborted', {
    cause: signal.reason,
  });
}

interface Feeding {
  readonly bytes: number;
  /** Why the tar could not be read to its end. A process that stops reading is not such a reason: its exit tells more. */
  readonly failure: { readonly error: unknown } | undefined;
}

/** Returns when the tar's reader is closed, whichever side failed. */
async function feed(tar: AsyncIterable<Buffer>, stdin: Writable): Promise<Feeding> {
  let bytes = 0;
  try {
    for await (const chunk of tar) {
      bytes += chunk.length;
      if (!stdin.write(chunk)) await untilWritable(stdin);
      if (stdin.destroyed) break;
    }
    stdin.end();
    return { bytes, failure: undefined };
  } catch (error) {
    stdin.destroy();
    return { bytes, failure: { error } };
  }
}

interface ChildEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

async function waitForChild(child: Child, worker: Worker): Promise<ChildEnd> {
  const complaints = keepComplaints(child.stderr);
  const closed = once(child, 'close');
  const [exitCode, signal] = (await once(child, 'exit')) as [number | null, string | null];
  // Processes that it started could hold its streams open for ever.
  await worker.end();
  await closed;
  return { exitCode, signal, stderr: complaints() };
}

/** Asks the disk whether it was full. The process freed its own space when it ended, so that space is counted as used. */
async function toMkfsError(end: ChildEnd, run: MkfsRun, fedBytes: number): Promise<StackshimError> {
  const { bavail, bsize } = await statfs(run.folder);
  const { exitCode, signal, stderr } = end;
  const details = { exitCode, signal, stderr };
  if (bavail * bsize <= fedBytes + DISK_SLACK_BYTES) {
    const { folder } = run;
    return new StackshimError('ERR_STACKSHIM_DISK_FULL', `${OPERATION}: no space left`, {
      details: { ...details, folder },
    });
  }
  const failure = await failureOfDisk(run.folder);
  if (failure !== undefined) return failure;
  if (exitCode === null) {
    return new StackshimError('ERR_STACKSHIM_SYSTEM', `${OPERATION}: ended by ${signal}`, {
      details,
    });
  }
  const reason = `exit status ${exitCode}: ${lastLine(stderr)}`;
  return new StackshimError(codeOfComplaint(stderr) ?? run.invalidCode, `${OPERATION}: ${reason}`, {
    details,
  });
}

/** On a failing disk the program crashes, or complains of something else: writing a small file shows it. Undefined when the disk accepts the file. */
async function failureOfDisk(folder: string): Promise<StackshimError | undefined> {
  try {
    const file = await open(`${folder}/disk`, 'wx', 0o600);
    try {
      await file.write('x');
      await file.sync();
    } finally {
      await file.close();
    }
    return undefined;
  } catch (error) {
    const failure = toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', OPERATION);
    return failure.code === 'ERR_STACKSHIM_DISK_FAILED' ? failure : undefined;
  }
}
