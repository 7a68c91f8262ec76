/** Decompresses zstd through the `zstd` program: Node 20's zlib has no zstd. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { toStackshimError } from '../core/errors.ts';
import { PLAIN_ENVIRONMENT } from '../sys/program-environment.ts';
import { started } from '../sys/started.ts';
import { type ArchivePolicy, toInvalidArchive } from './archive-policy.ts';
import {
  claimWorker,
  toLimited,
  toUnprivileged,
  type Worker,
  type WorkerHost,
} from './claim-worker.ts';
import { keepComplaints, untilWritable } from './filter-streams.ts';
import { findProgram } from './find-program.ts';

/** The largest window that a frame may ask for; `zstd --ultra` makes frames up to it. */
const WINDOW_LIMIT = '128MiB';
/** For other memory of the program, which its own limit does not count. */
const ADDRESS_SPACE_BYTES = 1024 ** 3;

/**
 * The decompressed bytes. The program runs unprivileged with bounded memory. It has ended when the generator has ended,
 * for whatever reason. Errors of reading `input` are passed on; a damaged stream gets the policy's code.
 * Throws ERR_STACKSHIM_TOOL_MISSING.
 */
export async function* unzstd(
  input: AsyncIterable<Buffer>,
  { policy, workers }: { readonly policy: ArchivePolicy; readonly workers: WorkerHost },
): AsyncGenerator<Buffer> {
  const worker = await claimWorker(workers);
  const child = await start(worker);
  // If the program dies, the pipe breaks, but the way it died tells more.
  child.stdin.on('error', () => undefined);
  const ended = waitForChild(child);
  const feeding = feed(input, child);
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const inputFailure = await feeding;
    if (inputFailure !== undefined) throw inputFailure.error;
    const problem = await ended;
    if (problem !== undefined) throw toInvalidArchive(policy, `zstd: ${problem}`);
  } finally {
    child.kill('SIGKILL');
    child.stdin.destroy();
    await ended;
    await worker.end();
  }
}

async function start(worker: Worker): Promise<Child> {
  try {
    const [program = '', ...args] = toCommand(worker);
    return await started(
      spawn(program, args, { cwd: '/', env: PLAIN_ENVIRONMENT, stdio: ['pipe', 'pipe', 'pipe'] }),
    );
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

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Resolves to the error of `input`; a program that stops reading is not a failure of the input. */
async function feed(
  input: AsyncIterable<Buffer>,
  { stdin, stdout }: Child,
): Promise<{ readonly error: unknown } | undefined> {
  try {
    for await (const chunk of input) {
      if (stdin.destroyed) return undefined;
      if (!stdin.write(chunk)) await untilWritable(stdin);
    }
    stdin.end();
    return undefined;
  } catch (error) {
    // Also ends the reader of `stdout`: no more of this stream is needed.
    stdout.destroy();
    return { error };
  }
}

/** Resolves to the reason why the program failed; undefined if it did not. */
function waitForChild(child: Child): Promise<string | undefined> {
  const complaints = keepComplaints(child.stderr);
  return new Promise((resolve) => {
    // Do not wait for `close`: a consumer that stopped early leaves output unread.
    child.once('exit', (code, signal) => {
      const said = complaints().slice(0, 300);
      resolve(code === 0 ? undefined : said || `ended by ${signal ?? `exit ${code}`}`);
    });
  });
}
