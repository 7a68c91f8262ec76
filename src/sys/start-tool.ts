/** Programs whose start is not on the way of a task, with streams of ours: filters, tools that are asked, a guard. By execa. */
import { once } from 'node:events';
import { PassThrough, pipeline, type Readable, type Writable } from 'node:stream';
import { within } from '../core/pause.ts';
import { KeptWords } from './run-program.ts';
import {
  endWithin,
  type GivenUp,
  killGroup,
  PLAIN_ENVIRONMENT,
  type RunBounds,
} from './start-program.ts';

export interface ToolRequest extends RunBounds {
  /** Absolute path of the program, and its arguments. */
  readonly command: readonly string[];
  /** The whole environment. Default: none but PATH and the C locale. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface EndedTool {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** What it said on standard error: the beginning and the end, where that is long. */
  readonly said: string;
  readonly givenUp: GivenUp | undefined;
  /** Why it failed, in a few words, its own last ones where it has said any; undefined when it did not. */
  readonly failure: string | undefined;
}

export interface StartedTool {
  readonly pid: number;
  readonly stdin: Writable;
  /** Little is read ahead: a tool that nobody reads from waits. */
  readonly stdout: Readable;
  /** Resolves when the tool has ended, and everything of its process group. Never rejects. */
  readonly exited: Promise<EndedTool>;
  /** Kills it and what it started; nothing once it has ended. */
  killAll(): void;
  /** Whether it keeps this process's event loop alive. Default: it does. */
  keepAlive(isWanted: boolean): void;
}

const SAID_BYTES = 16_384;
/** For the rest of its words, which a process that has left its group may hold up. */
const WORDS_WITHIN_MS = 1_000;

/** Resolves once the tool runs, in `/`. Rejects with the system's error when it could not be started. */
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
  // A tool that ends breaks the pipe; how it ended tells more than that.
  stdin.on('error', () => undefined);
  // Else execa, or the engine at the tool's exit, would drop what nobody has begun to read.
  const stdout = new PassThrough();
  pipeline(child.stdout, stdout, () => undefined);
  const words = new KeptWords(SAID_BYTES);
  stderr.on('data', (chunk: Uint8Array) => words.push(chunk));
  const said = once(stderr, 'close');
  let hasEnded = false;
  const killAll = () => {
    if (!hasEnded) killGroup(pid);
  };
  const ended = once(child, 'exit').then(async ([exitCode, signal]) => {
    killAll();
    hasEnded = true;
    await within(said, WORDS_WITHIN_MS).catch(() => undefined);
    return { exitCode, signal } as Pick<EndedTool, 'exitCode' | 'signal'>;
  });
  const exited = endWithin({ exited: ended, killAll }, request).then(({ end, givenUp }) =>
    toEnded({ ...end, givenUp, said: words.text.trim() }),
  );
  const keepAlive = (isWanted: boolean) => {
    for (const each of [child, stdin, child.stdout, stderr]) setAlive(each, isWanted);
  };
  return { pid, stdin, stdout, exited, killAll, keepAlive };
}

export interface ToolAnswer extends EndedTool {
  readonly stdout: Buffer;
}

/** Runs a tool that reads nothing, and resolves to what it printed. One that prints more than `maxBytes` is killed: that is a failure. */
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
  return { ...end, stdout, ...(isOver ? { failure: 'it printed too much' } : {}) };
}

function toEnded(end: Omit<EndedTool, 'failure'>): EndedTool {
  const { exitCode, signal, said, givenUp } = end;
  if (givenUp === 'timeout') return { ...end, failure: 'it did not finish in time' };
  if (givenUp === 'aborted') return { ...end, failure: 'aborted' };
  if (exitCode === 0) return { ...end, failure: undefined };
  const last = said.split('\n').at(-1)?.trim();
  return { ...end, failure: last || `ended by ${signal ?? `exit ${exitCode}`}` };
}

/** Streams of child processes are sockets, whatever their type says. */
function setAlive(handle: object, isWanted: boolean): void {
  const method: unknown = Reflect.get(handle, isWanted ? 'ref' : 'unref');
  if (typeof method === 'function') Reflect.apply(method, handle, []);
}
