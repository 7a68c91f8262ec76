/** Runs one program of a build or an exchange (buildah, mmdebstrap, skopeo) so that none of its processes or mounts can outlive us. */
import { closeSync } from 'node:fs';
import type { ErrorCode } from '../core/error-codes.ts';
import { StackshimError } from '../core/errors.ts';
import { findProgram } from '../layers/find-program.ts';
import type { FileLock } from '../sys/lock.ts';
import { openNullDevice } from '../sys/null-device.ts';
import { drainPipe } from '../sys/pipes.ts';
import { endWithin } from '../sys/run-bounds.ts';
import { startProgram } from '../sys/start-program.ts';
import type { System } from '../sys/system.ts';
import { toAborted } from './build-aborted.ts';

export interface RunBuilderOptions {
  readonly system: System;
  /** Handed down to the program, so that they are free only when all of its processes are gone. */
  readonly locks?: readonly FileLock[];
  /** A program with arguments that gets ready what the command needs, and then becomes the command. */
  readonly within?: readonly string[];
  /** The largest file that the program may write. */
  readonly fileBytesLimit?: number | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Gets each line of the program's output, without its newline; long ones are cut. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const LAST_LINES = 40;
const MAX_LINE_CHARS = 2000;

/**
 * `setpriv` has the kernel kill `unshare` when we die, `unshare` has it kill the program, and as that one is the first
 * process of its own pid namespace and works in its own mount namespace, every process and mount goes with it.
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
 * Runs `command` to its end; every line it prints goes to `onLine`.
 * Throws ERR_STACKSHIM_BUILD_FAILED (with the last lines in `details.output`), ERR_STACKSHIM_DISK_FULL,
 * ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_BUILD_ABORTED.
 */
export async function runBuilder(
  command: readonly [string, ...string[]],
  options: RunBuilderOptions,
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
  const lines = new LineTail(options.onLine);
  // A pipe, as a socket could not be opened as /dev/stderr by a script.
  const [readEnd, writeEnd] = system.createPipe();
  const drain = drainPipe(readEnd, (chunk) => lines.push(chunk));
  // Not the host's: the builder hands its streams to a runtime.
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
    // Every other process that could write to the pipe ended with the builder's pid namespace.
    drain.finish();
  }
  await drain.ended;
  lines.end();
  if (signal?.aborted) throw toAborted(`run ${program}`);
  if (exitCode !== 0) throw toFailed(program, exitCode, lines.tail);
}

class LineTail {
  readonly tail: string[] = [];
  readonly #decoder = new TextDecoder();
  readonly #onLine: ((line: string) => void) | undefined;
  #partial = '';

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    const pieces = (this.#partial + this.#decoder.decode(chunk, { stream: true })).split('\n');
    this.#partial = (pieces.pop() ?? '').slice(0, MAX_LINE_CHARS);
    for (const piece of pieces) this.#emit(piece);
  }

  end(): void {
    if (this.#partial !== '') this.#emit(this.#partial);
  }

  #emit(raw: string): void {
    // What a program overwrites with carriage returns on a terminal counts once: as it stood at last.
    const line = (raw.replace(/\r+$/, '').split('\r').at(-1) ?? '').slice(0, MAX_LINE_CHARS);
    if (line.trim() === '') return;
    this.tail.push(line);
    if (this.tail.length > LAST_LINES) this.tail.shift();
    this.#onLine?.(line);
  }
}

function toFailed(
  program: string,
  exitCode: number | null,
  output: readonly string[],
): StackshimError {
  const details = { program, exitCode, output };
  // The builders report errors as text only; these are the C library's own words in the C locale.
  const says = (words: string) => output.some((line) => line.toLowerCase().includes(words));
  const full = says('no space left on device') || says('disk quota exceeded');
  const code: ErrorCode = full ? 'ERR_STACKSHIM_DISK_FULL' : 'ERR_STACKSHIM_BUILD_FAILED';
  // apt's own words name the package; what follows only says that a step failed.
  const reason = output.find((line) => line.startsWith('E: ')) ?? output.at(-1) ?? 'no output';
  return new StackshimError(
    code,
    `run ${program}: ${exitCode === null ? 'killed' : `exit ${exitCode}`}: ${reason}`,
    {
      details,
    },
  );
}
