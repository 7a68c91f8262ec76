/** Decompresses zstd and xz with the programs of these names: Node 20's zlib supports neither. */
import { toStackshimError } from '../core/errors.ts';
import { findProgram } from '../sys/find-program.ts';
import { feedProgram } from '../sys/run-program.ts';
import { type StartedTool, startTool } from '../sys/start-tool.ts';
import { toInvalidArchive } from './archive-policy.ts';
import { claimWorker, toLimited, toUnprivileged, type Worker } from './claim-worker.ts';
import type { ReadArchiveOptions } from './read-archive.ts';

/** The most memory that a stream may require: `zstd --ultra` and `xz -9` need less. */
const MEMORY_LIMIT = '128MiB';
/** Includes the program's other memory, which its own limit does not count. */
const ADDRESS_SPACE_BYTES = 1024 ** 3;

/** The options that bound each program, and its Debian package. */
const PROGRAMS = {
  zstd: { package: 'zstd', bounds: [`--memory=${MEMORY_LIMIT}`] },
  xz: {
    package: 'xz-utils',
    bounds: [`--memlimit-decompress=${MEMORY_LIMIT}`, '--threads=1'],
  },
} as const;

/**
 * The decompressed bytes. The program runs unprivileged with bounded memory, and has ended when the generator has, for whatever reason. Passes on
 * errors of reading `input`; a damaged stream gets the policy's code. Throws ERR_STACKSHIM_TOOL_MISSING, and the reason of an aborted `signal`.
 */
export async function* decompressByProgram(
  input: AsyncIterable<Buffer>,
  program: keyof typeof PROGRAMS,
  { policy, workers, signal }: Pick<ReadArchiveOptions, 'policy' | 'workers' | 'signal'>,
): AsyncGenerator<Buffer> {
  const worker = await claimWorker(workers);
  const tool = await start(program, worker, signal);
  // Processes that it started could hold its streams open forever.
  const ended = tool.exited.finally(() => worker.end());
  // Handled below, possibly after it rejects.
  ended.catch(() => undefined);
  // If the input fails, kill the program: its output is useless.
  const feeding = feedProgram(input, tool.stdin, tool.killAll);
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
  program: keyof typeof PROGRAMS,
  worker: Worker,
  signal: AbortSignal | undefined,
): Promise<StartedTool> {
  try {
    const limits = toLimited(`--as=${ADDRESS_SPACE_BYTES}`, '--core=0');
    const { bounds, ...from } = PROGRAMS[program];
    const path = findProgram(program, from);
    const args = ['--decompress', '--stdout', '--quiet', ...bounds, '-'];
    return await startTool({
      command: [...limits, ...toUnprivileged(worker), path, ...args],
      signal,
    });
  } catch (error) {
    await worker.end();
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `run ${program}`);
  }
}
