/** Runs the built executable, as a user would: its exit status and all that it printed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export const STACKSHIM = fileURLToPath(new URL('../../dist/stackshim', import.meta.url));

export interface CliResult {
  /** Null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as bytes. */
  readonly stdoutBytes: Buffer;
}

export interface CliOptions {
  /** Added to this process's environment: a test installation's `env`. */
  readonly env: Readonly<Record<string, string>>;
  /** What it reads; without it, nothing. */
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  /** A program, with arguments, that is to start the executable: `['setpriv', '--reuid', '1000', …]`. */
  readonly through?: readonly string[];
}

export interface StartedCli {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
}

/** Starts the executable and leaves the rest to the caller. */
export function startCli(args: readonly string[], options: CliOptions): StartedCli {
  const [program = STACKSHIM, ...rest] = [...(options.through ?? []), STACKSHIM, ...args];
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  // It may end without having read everything.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input);
  return { child, ended: toResult(child) };
}

/** Runs the executable to its end. */
export function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  return startCli(args, options).ended;
}

async function toResult(child: ChildProcess): Promise<CliResult> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('started without pipes');
  const [out, err, [status, signal]] = await Promise.all([
    buffer(stdout),
    buffer(stderr),
    once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  return { status, signal, stdout: out.toString(), stderr: err.toString(), stdoutBytes: out };
}
