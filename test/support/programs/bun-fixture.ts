/** Runs programs of test/fixtures in processes of their own, in parallel or to be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const root = new URL('../../../', import.meta.url).pathname;
const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch;
export const BUN = `${root}node_modules/@oven/bun-linux-${architecture}/bin/bun`;

/** Starts a program; `through` is a program that execs it. Its stderr is this process's own. */
export function startFixture(
  program: URL,
  args: readonly string[],
  through: readonly string[] = [],
): ChildProcess {
  const [command = BUN, ...rest] = [...through, BUN, program.pathname, ...args];
  return spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Runs the program; rejects unless it exits with 0. Resolves to its output. */
export async function runFixture(program: URL, args: readonly string[]): Promise<string> {
  const child = startFixture(program, args);
  const printed: string[] = [];
  child.stdout?.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program.pathname} ended with ${code}`);
  return printed.join('');
}

/** Resolves to the first line of output that contains `text`; rejects if the program ends before. */
export async function waitForLine(child: ChildProcess, text: string): Promise<string> {
  if (child.stdout === null) throw new Error('the fixture has no stdout');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes(text)) return line;
  }
  throw new Error(`the fixture ended without printing ${JSON.stringify(text)}`);
}
