/** A client program whose output is searched for a probe's report, however much it prints. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface WatchedProgram {
  /** Resolves when the attempt was made, or when the program has ended without it. */
  readonly tried: Promise<void>;
  readonly ended: Promise<{ readonly status: number | null }>;
  hasEnded(): boolean;
  /** The first 4 MiB. */
  stdout(): string;
  stdoutBytes(): number;
  stderr(): string;
  signal(name: NodeJS.Signals): void;
}

const KEPT_BYTES = 4 * 1024 * 1024;
const TRIED = '\ntried\n';

export interface WatchOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A descriptor of the caller that becomes its descriptor 3. */
  readonly extra?: number;
}

export function watchProgram(argv: readonly string[], options: WatchOptions = {}): WatchedProgram {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', options.extra ?? 'ignore'],
  });
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('no pipes');
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  let [bytes, keptBytes, tail, isOver] = [0, 0, '', false];
  let tell: () => void = () => undefined;
  const tried = new Promise<void>((resolve) => {
    tell = resolve;
  });
  stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (keptBytes < KEPT_BYTES) kept.stdout.push(chunk);
    keptBytes += chunk.length;
    const seen = tail + chunk.toString('latin1');
    if (seen.replaceAll('\r', '').includes(TRIED)) tell();
    tail = seen.slice(-2 * TRIED.length);
  });
  stderr.on('data', (chunk: Buffer) => kept.stderr.push(chunk));
  const ended = once(child, 'close').then(([status]: (number | null)[]) => {
    isOver = true;
    tell();
    return { status: status ?? null };
  });
  return {
    tried,
    ended,
    hasEnded: () => isOver,
    stdout: () => Buffer.concat(kept.stdout).toString(),
    stdoutBytes: () => bytes,
    stderr: () => Buffer.concat(kept.stderr).toString(),
    signal: (name) => void child.kill(name),
  };
}
