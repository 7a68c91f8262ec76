/** Feeds a tar to `mkfs.erofs` and explains its failures. */

import { open } from 'node:fs/promises';
import type { ErrorCode } from '../core/error-codes.ts';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { freeBytesAt } from '../sys/files.ts';
import { codeOfComplaint, lastLine } from '../sys/guard-disk.ts';
import { type EndedProgram, runProgram } from '../sys/run-program.ts';
import { PLAIN_ENVIRONMENT } from '../sys/start-program.ts';
import type { ArchivePolicy } from './archive-policy.ts';
import type { Worker } from './claim-worker.ts';

export interface MkfsRun {
  /** The working directory, also for temporary files. */
  readonly folder: string;
  /** The worker whose id the process has; ended here. */
  readonly worker: Worker;
  /** Has the error code for an exit status other than 0. */
  readonly policy: ArchivePolicy;
  readonly signal?: AbortSignal | undefined;
}

/** Space that a full disk may still report as free: the kernel rounds, and other processes free space. */
const DISK_SLACK_BYTES = 1024 * 1024;

/**
 * Runs a command with its arguments. Settles when the process and all processes that it started have ended; resolves to the number of tar bytes.
 * The first cause wins: abort, then the tar's failure, then the process's.
 */
export async function runMkfs(
  tar: AsyncIterable<Buffer>,
  [path = '', ...args]: readonly string[],
  run: MkfsRun,
): Promise<number> {
  const { folder, worker, signal } = run;
  let bytes = 0;
  const feeding: { failure?: { readonly error: unknown } } = {};
  async function* counted() {
    try {
      for await (const chunk of tar) {
        bytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      feeding.failure = { error };
      throw error;
    }
  }
  let end: EndedProgram;
  try {
    // mkfs.erofs keeps file contents in TMPDIR until it knows all names.
    const env = { ...PLAIN_ENVIRONMENT, TMPDIR: '.' };
    const request = { path, args, env, cwd: folder, signal };
    // Processes that it started could hold its streams open forever.
    end = await runProgram({ ...request, input: counted(), onExit: () => worker.end() });
  } catch (error) {
    if (signal?.aborted) throw toAborted(signal);
    if (feeding.failure !== undefined) throw error;
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', OPERATION);
  }
  if (signal?.aborted) throw toAborted(signal);
  if (end.exitCode !== 0) throw await toMkfsError(end, run, bytes);
  return bytes;
}

const OPERATION = 'make an EROFS file with mkfs.erofs';

function toAborted(signal: AbortSignal): StackshimError {
  const message = 'make an EROFS file: aborted';
  return new StackshimError('ERR_STACKSHIM_TASK_ABORTED', message, { cause: signal.reason });
}

/** Allows for the fed bytes when it asks whether the disk is full: at its end, the process freed the space it had taken. */
async function toMkfsError(
  { exitCode, signal, output: stderr }: EndedProgram,
  { folder, policy }: MkfsRun,
  fedBytes: number,
): Promise<StackshimError> {
  const toError = (code: ErrorCode, reason: string, more?: { readonly folder: string }) =>
    new StackshimError(code, `${OPERATION}: ${reason}`, {
      details: { exitCode, signal, stderr, ...more },
    });
  if (freeBytesAt(folder) <= fedBytes + DISK_SLACK_BYTES) {
    return toError('ERR_STACKSHIM_DISK_FULL', 'no space left', { folder });
  }
  const failure = await failureOfDisk(folder);
  if (failure !== undefined) return failure;
  if (exitCode === null) return toError('ERR_STACKSHIM_SYSTEM', `ended by signal ${signal}`);
  const reason = `exit status ${exitCode}: ${lastLine(stderr)}`;
  return toError(codeOfComplaint(stderr) ?? policy.invalidCode, reason);
}

/** Detects a failing disk, on which the program crashes or complains of something else, by a small file. Undefined if that can be written. */
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
