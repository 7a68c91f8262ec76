/** Starts programs outside the task path through execa, with streams in this process: filters, tools that answer questions, a guard. */
import { once } from 'node:events';
import { PassThrough, pipeline, type Readable, type Writable } from 'node:stream';
import { within } from '../core/pause.ts';
import { KeptOutput } from './run-program.ts';
import {
  endWithin,
  type GivenUp,
  killGroup,
  PLAIN_ENVIRONMENT,
  type RunBounds,
} from './start-program.ts';

export interface ToolRequest extends RunBounds {
  /** The program's absolute path, and its arguments. */
  readonly command: readonly string[];
  /** The whole environment. Default: only PATH and the C locale. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface EndedTool {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The kept standard error; if it was long, its beginning and end. */
  readonly stderr: string;
  readonly givenUp: GivenUp | undefined;
  /** Why the tool failed, in a few words: the last line of its standard error, if any. Undefined if it succeeded. */
  readonly failure: string | undefined;
}

export interface StartedTool {
  readonly pid: number;
  readonly stdin: Writable;
  /** Reads little ahead: a tool waits while nobody reads its output. */
  readonly stdout: Readable;
  /** Resolves when the tool and its whole process group have ended. Never rejects. */
  readonly exited: Promise<EndedTool>;
  /** Kills the tool and its process group; does nothing once the tool has ended. */
  killAll(): void;
  /** Whether the tool keeps this process's event loop alive. Default: it does. */
  keepAlive(isWanted: boolean): void;
}

/** How long to wait for the rest of the output, which a process that left the group may hold open. */
const STDERR_WITHIN_MS = 1_000;

/** Starts a tool in the directory `/`; resolves once it runs. Rejects with the system error if the start failed. */
export async function startTool(request: ToolRequest): Promise<StartedTool> {
  const { execa } = await import('execa');
  const { command, env = PLAIN_ENVIRONMENT } = request;
  const [path = '', ...args] = command;
  const child = execa(path, args, {
    cwd: '/',
    env,
    extendEnv: false,
    stdin: 'pipe',
    detached: true,
    cleanup: false,
    buffer: false,
    encoding: 'buffer',
    reject: false,
  });
  const { pid, stdin, stderr } = child;
  if (pid === undefined) throw (await child).cause ?? new Error(`run ${path}: not started`);
  // A tool that ends breaks the pipe; its exit says more than this error.
  stdin.on('error', () => undefined);
  // Otherwise execa, or the engine at the tool's exit, would drop output that nobody has begun to read.
  const stdout = new PassThrough();
  pipeline(child.stdout, stdout, () => undefined);
  const kept = new KeptOutput();
  stderr.on('data', (chunk: Uint8Array) => kept.push(chunk));
  const closed = once(stderr, 'close');
  let hasEnded = false;
  const killAll = () => {
    if (!hasEnded) killGroup(pid);
  };
  const ended = once(child, 'exit').then(async ([exitCode, signal]) => {
    killAll();
    hasEnded = true;
    await within(closed, STDERR_WITHIN_MS).catch(() => undefined);
    return { exitCode, signal } as Pick<EndedTool, 'exitCode' | 'signal'>;
  });
  const exited = endWithin({ exited: ended, killAll }, request).then(({ end, givenUp }) => {
    const all = { ...end, givenUp, stderr: kept.text.trim() };
    return { ...all, failure: failureOf(all) };
  });
  const keepAlive = (isWanted: boolean) => {
    // Child process streams are sockets, although their type does not say so.
    for (const handle of [child, stdin, child.stdout, stderr]) {
      const method: unknown = Reflect.get(handle, isWanted ? 'ref' : 'unref');
      if (typeof method === 'function') Reflect.apply(method, handle, []);
    }
  };
  return { pid, stdin, stdout, exited, killAll, keepAlive };
}

export interface ToolAnswer extends EndedTool {
  readonly stdout: Buffer;
}

/** Runs a tool without input and resolves to its output. Kills a tool that prints more than `maxBytes`; it counts as failed. */
export async function askTool(
  request: ToolRequest & { readonly maxBytes: number },
): Promise<ToolAnswer> {
  const tool = await startTool(request);
  tool.stdin.end();
  const pieces: Buffer[] = [];
  let left = request.maxBytes;
  for await (const chunk of tool.stdout) {
    pieces.push(chunk);
    left -= chunk.length;
    if (left < 0) {
      tool.killAll();
      break;
    }
  }
  const end = await tool.exited;
  const stdout = Buffer.concat(pieces).subarray(0, request.maxBytes);
  const isOver = left < 0 && end.givenUp === undefined;
  return { ...end, stdout, failure: isOver ? 'it printed too much' : end.failure };
}

function failureOf({ exitCode, signal, stderr, givenUp }: Omit<EndedTool, 'failure'>) {
  if (givenUp === 'timeout') return 'it did not finish in time';
  if (givenUp === 'aborted') return 'aborted';
  if (exitCode === 0) return undefined;
  return stderr.split('\n').at(-1)?.trim() || `ended by ${signal ?? `exit ${exitCode}`}`;
}
