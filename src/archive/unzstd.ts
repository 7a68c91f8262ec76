/** Decompresses zstd through the `zstd` program: Node 20's zlib has no zstd. */
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

/** The largest window that a frame may ask for; `zstd --ultra` makes frames up to it. */
const WINDOW_LIMIT = '128MiB';
/** For other memory of the program, which its own limit does not count. */
const ADDRESS_SPACE_BYTES = 1024 ** 3;

export interface UnzstdOptions {
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
export async function* unzstd(
  input: AsyncIterable<Buffer>,
  { policy, workers, signal }: UnzstdOptions,
): AsyncGenerator<Buffer> {
  const worker = await claimWorker(workers);
  const tool = await start(worker, signal);
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
    if (failure !== undefined) throw toInvalidArchive(policy, `zstd: ${failure.slice(0, 300)}`);
  } finally {
    tool.killAll();
    tool.stdin.destroy();
    await ended;
  }
}

async function start(worker: Worker, signal: AbortSignal | undefined): Promise<StartedTool> {
  try {
    return await startTool({ command: toCommand(worker), signal });
  } catch (error) {
    await worker.end();
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'run zstd');
  }
}

function toCommand(worker: Worker): readonly string[] {
  const limits = toLimited(`--as=${ADDRESS_SPACE_BYTES}`, '--core=0');
  const zstd = findProgram('zstd', { package: 'zstd' });
  const command = [zstd, '--decompress', '--stdout', '--quiet', `--memory=${WINDOW_LIMIT}`, '-'];
  return [...limits, ...toUnprivileged(worker), ...command];
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
