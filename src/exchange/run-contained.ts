/** Runs a program of a build or an exchange (buildah, mmdebstrap, skopeo); none of its processes or mounts outlives this process. */
import { closeSync } from 'node:fs';
import type { ErrorCode } from '../core/error-codes.ts';
import { StackshimError } from '../core/errors.ts';
import { findProgram } from '../sys/find-program.ts';
import type { FileLock } from '../sys/lock.ts';
import { drainPipe } from '../sys/pipes.ts';
import { endWithin, openNullDevice, startProgram } from '../sys/start-program.ts';
import type { System } from '../sys/system.ts';
import { toAborted } from './abortable.ts';

export interface RunContainedOptions {
  readonly system: System;
  /** The program inherits the locks, so that they are free only when all its processes are gone. */
  readonly locks?: readonly FileLock[];
  /** A program with arguments that prepares the command's environment, and then becomes the command. */
  readonly within?: readonly string[];
  /** Size limit of each file that the program writes. */
  readonly fileBytesLimit?: number | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Gets each line of output without its newline; long lines are cut. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const LAST_LINES = 40;
const MAX_LINE_CHARS = 2000;

/**
 * Contains a command. `setpriv` makes the kernel kill `unshare` when this process dies, and `unshare` makes it kill the program. The program is the
 * first process of its own pid namespace and has its own mount namespace, so all its processes and mounts end with it.
 */
function toContained(command: readonly string[]): readonly [string, ...string[]] {
  const utilLinux = { package: 'util-linux' };
  return [
    findProgram('setpriv', utilLinux),
    ...['--pdeathsig', 'KILL', '--', findProgram('unshare', utilLinux)],
    ...['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child=KILL'],
    ...['--mount-proc', '--', ...command],
  ];
}

/**
 * Runs `command` to its end; each printed line goes to `onLine`. Throws ERR_STACKSHIM_BUILD_FAILED (with the last lines in `details.output`),
 * ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_BUILD_ABORTED.
 */
export async function runContained(
  command: readonly [string, ...string[]],
  options: RunContainedOptions,
): Promise<void> {
  const { system, locks = [], within = [], env, fileBytesLimit, signal } = options;
  const [program, ...args] = command;
  if (signal?.aborted) throw toAborted(`run ${program}`);
  const limits =
    fileBytesLimit === undefined
      ? []
      : [findProgram('prlimit', { package: 'util-linux' }), `--fsize=${fileBytesLimit}`, '--'];
  const found = findProgram(program, { package: program });
  const [path, ...contained] = toContained([...limits, ...within, found, ...args]);
  const lines = createLineTail(options.onLine);
  // Use a pipe: a script could not open a socket as /dev/stderr.
  const [readEnd, writeEnd] = system.createPipe();
  const drain = drainPipe(readEnd, (chunk) => lines.push(chunk));
  // Not the host's null device, because the builder passes its streams to a runtime.
  const input = openNullDevice('input');
  const stdio = [input, writeEnd, writeEnd, ...locks.map(({ fd }) => fd)];
  const builder = startProgram({ path, args: contained, env, stdio });
  let exitCode: number | null;
  try {
    await builder.running.finally(() => {
      closeSync(input);
      system.close(writeEnd);
    });
    ({ exitCode } = (await endWithin(builder, { signal })).end);
  } finally {
    // All other processes that could write to the pipe have ended with the builder's pid namespace.
    drain.finish();
  }
  await drain.ended;
  lines.end();
  if (signal?.aborted) throw toAborted(`run ${program}`);
  if (exitCode !== 0) throw toFailed(program, exitCode, lines.tail);
}

/** Splits output into lines and keeps the last ones. */
function createLineTail(onLine: RunContainedOptions['onLine']) {
  const tail: string[] = [];
  const decoder = new TextDecoder();
  let partial = '';
  const emit = (raw: string) => {
    // If a program overwrites a line with carriage returns, only the last state counts.
    const line = (raw.replace(/\r+$/, '').split('\r').at(-1) ?? '').slice(0, MAX_LINE_CHARS);
    if (line.trim() === '') return;
    tail.push(line);
    if (tail.length > LAST_LINES) tail.shift();
    onLine?.(line);
  };
  return {
    tail,
    push(chunk: Uint8Array): void {
      const pieces = (partial + decoder.decode(chunk, { stream: true })).split('\n');
      partial = (pieces.pop() ?? '').slice(0, MAX_LINE_CHARS);
      for (const piece of pieces) emit(piece);
    },
    end: (): void => emit(partial),
  };
}

function toFailed(
  program: string,
  exitCode: number | null,
  output: readonly string[],
): StackshimError {
  // The builders report errors only as text: these are the C library's words in the C locale.
  const printed = (words: string) => output.some((line) => line.toLowerCase().includes(words));
  const full = printed('no space left on device') || printed('disk quota exceeded');
  const code: ErrorCode = full ? 'ERR_STACKSHIM_DISK_FULL' : 'ERR_STACKSHIM_BUILD_FAILED';
  // apt's message names the package; the lines after it only say that a step failed.
  const reason = output.find((line) => line.startsWith('E: ')) ?? output.at(-1) ?? 'no output';
  const end = exitCode === null ? 'killed' : `exit ${exitCode}`;
  const details = { program, exitCode, output };
  return new StackshimError(code, `run ${program}: ${end}: ${reason}`, { details });
}
