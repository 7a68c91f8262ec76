/** Decompresses zstd and xz through the programs of these names: Node 20's zlib has neither. */
import { toStackshimError } from '../core/errors.ts';
import { findProgram } from '../sys/find-program.ts';
import { feedProgram } from '../sys/run-program.ts';
import { type StartedTool, startTool } from '../sys/start-tool.ts';
import { type ArchivePolicy, toInvalidArchive } from './archive-policy.ts';
import {
  claimWorker,
  toLimited,
  toUnprivileged,
  type Worker,
  type WorkerHost,
} from './claim-worker.ts';

/** The most memory that a stream may ask for: `zstd --ultra` and `xz -9` stay below it. */
const MEMORY_LIMIT = '128MiB';
/** For other memory of the program, which its own limit does not count. */
const ADDRESS_SPACE_BYTES = 1024 ** 3;

/** The arguments of each program, which is in the Debian package of the second name. */
const PROGRAMS = {
  zstd: {
    package: 'zstd',
    args: ['--decompress', '--stdout', '--quiet', `--memory=${MEMORY_LIMIT}`, '-'],
  },
  xz: {
    package: 'xz-utils',
    args: [
      '--decompress',
      '--stdout',
      '--quiet',
      `--memlimit-decompress=${MEMORY_LIMIT}`,
      '--threads=1',
      '-',
    ],
  },
} as const;

type ProgramName = keyof typeof PROGRAMS;

export interface DecompressOptions {
  readonly program: ProgramName;
  readonly policy: ArchivePolicy;
  readonly workers: WorkerHost;
  /** An abort ends the program, even if it neither reads nor writes. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The decompressed bytes. The program runs unprivileged with bounded memory. It has ended when the generator has ended,
 * for whatever reason. Errors of reading `input` are passed on; a damaged stream gets the policy's code.
 * Throws ERR_STACKSHIM_TOOL_MISSING, and the reason of an aborted `signal`.
 */
export async function* decompressByProgram(
  input: AsyncIterable<Buffer>,
  { program, policy, workers, signal }: DecompressOptions,
): AsyncGenerator<Buffer> {
  const worker = await claimWorker(workers);
  const tool = await start(program, worker, signal);
  // What it started could hold its streams open for ever.
  const ended = tool.exited.finally(() => worker.end());
  // Asked for below, later than it may come.
  ended.catch(() => undefined);
  const feeding = feed(input, tool);
  try {
    for await (const chunk of tool.stdout) yield chunk as Buffer;
    const inputFailure = await feeding;
    if (inputFailure !== undefined) throw inputFailure.error;
    const { failure } = await ended;
    signal?.throwIfAborted();
    if (failure !== undefined)
      throw toInvalidArchive(policy, `${program}: ${failure.slice(0, 300)}`);
  } finally {
    tool.killAll();
    tool.stdin.destroy();
    await ended;
  }
}

async function start(
  program: ProgramName,
  worker: Worker,
  signal: AbortSignal | undefined,
): Promise<StartedTool> {
  try {
    return await startTool({ command: toCommand(program, worker), signal });
  } catch (error) {
    await worker.end();
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `run ${program}`);
  }
}

function toCommand(program: ProgramName, worker: Worker): readonly string[] {
  const limits = toLimited(`--as=${ADDRESS_SPACE_BYTES}`, '--core=0');
  const { args, ...from } = PROGRAMS[program];
  return [...limits, ...toUnprivileged(worker), findProgram(program, from), ...args];
}

/** Resolves to what `input` threw; a program that stops reading is not a failure of the input. */
async function feed(
  input: AsyncIterable<Buffer>,
  { stdin, killAll }: StartedTool,
): Promise<{ readonly error: unknown } | undefined> {
  try {
    await feedProgram(input, stdin);
    return undefined;
  } catch (error) {
    // Also ends the reader of its output: no more of this stream is needed.
    killAll();
    return { error };
  }
}
