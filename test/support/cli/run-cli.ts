/** Runs the built executable like a user: its exit status and its output. */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const STACKSHIM = fileURLToPath(new URL('../../../dist/stackshim', import.meta.url));

export interface CliResult {
  /** Null if a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as bytes. */
  readonly stdoutBytes: Buffer;
}

export interface CliOptions {
  /** Added to this process's environment, for example a test installation's `env`. */
  readonly env: Readonly<Record<string, string>>;
  /** Its standard input; empty by default. */
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  /** A program with arguments that starts the executable: `['setpriv', '--reuid', '1000', …]`. */
  readonly through?: readonly string[];
}

export interface StartedCli {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves once its standard output contains `text`; rejects if it ends first. */
  printed(text: string): Promise<void>;
}

/** Starts the executable and leaves the rest to the caller. */
export function startCli(args: readonly string[], options: CliOptions): StartedCli {
  const [program = STACKSHIM, ...rest] = [...(options.through ?? []), STACKSHIM, ...args];
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // The executable may end without reading everything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  const printed = new EventEmitter();
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      kept[name].push(chunk);
      if (name === 'stdout') printed.emit('more');
    });
  }
  const output = () => Buffer.concat(kept.stdout);
  const ended = (async (): Promise<CliResult> => {
    const [status, signal] = await once(child, 'close');
    const [stdoutBytes, stderr] = [output(), Buffer.concat(kept.stderr).toString()];
    return { status, signal, stdout: stdoutBytes.toString(), stderr, stdoutBytes };
  })();
  return {
    child,
    ended,
    async printed(text) {
      const over = ended.then(() => true);
      while (!output().includes(text)) {
        if (!(await Promise.race([once(printed, 'more').then(() => false), over]))) continue;
        if (output().includes(text)) return;
        throw new Error(`ended without having printed ${JSON.stringify(text)}`);
      }
    },
  };
}

/** Runs the executable to its end. */
export function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  return startCli(args, options).ended;
}
