/**
 * Which function starts a program:
 * - `runProgram`, on the task path: starts quickly, passes input to the program, and keeps a little of its output.
 * - `startProgram`, one level lower, for a program that gets descriptors from the caller: runtimes, builders, holders of namespaces.
 * - `startTool` and `askTool` (`start-tool.ts`) for everything else: filters and tools that answer questions. They load execa, which takes as
 * long as starting a container.
 * - `posixSpawn` alone, for a program that outlives this process: nobody here waits for it.
 *
 * In each case the program leads its own process group, which is killed as a whole, and inherits nothing of the caller's environment. Its output
 * is bounded, and its time if the caller sets a limit.
 */
import { closeSync, openSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { linuxSystem } from './linux-system.ts';
import { drainPipe, openSink } from './pipes.ts';
import type { SpawnRequest } from './posix-spawn.ts';
import {
  endWithin,
  type GivenUp,
  openNullDevice,
  type RunBounds,
  startProgram,
} from './start-program.ts';
import type { ProcessExit } from './system.ts';

/** The most output kept of the beginning, and of the end, as a detail of an error. */
const HALF_BYTES = 8_192;

export interface ProgramRun extends Omit<SpawnRequest, 'stdio'>, RunBounds {
  /** The stream to keep; the other one is dropped. Default: standard error. */
  readonly keeps?: 'stdout' | 'stderr';
  /** Standard input, read as fast as the program takes it. Default: none. */
  readonly input?: AsyncIterable<Uint8Array>;
  /** Called once, when the program has ended or failed to start, to end its descendants that may hold its pipes open. Its errors are passed on. */
  readonly onExit?: () => Promise<void>;
}

export interface EndedProgram extends ProcessExit {
  /** The kept output; if it was long, its beginning and end. */
  readonly output: string;
  readonly givenUp: GivenUp | undefined;
}

/** Runs a program to its end. Rejects if it could not be started, or if reading `input` throws; the program has ended by then. */
export async function runProgram(run: ProgramRun): Promise<EndedProgram> {
  const kept = new KeptOutput();
  let isOver = false;
  const endRest = async () => {
    if (isOver) return;
    isOver = true;
    await run.onExit?.();
  };
  let ends: ReturnType<typeof openEnds> | undefined;
  try {
    ends = openEnds(run, kept);
    const program = startProgram({ ...run, stdio: ends.stdio });
    await program.running.finally(ends.handOver);
    const { sink } = ends;
    const feeding =
      run.input === undefined || sink === undefined
        ? undefined
        : feedProgram(run.input, sink, program.killAll);
    const { end, givenUp } = await endWithin(program, run);
    await endRest();
    sink?.destroy();
    const failure = await feeding;
    // Processes started by the program may keep the pipe open.
    ends.drain.finish();
    await ends.drain.ended;
    if (failure !== undefined) throw failure.error;
    return { ...end, givenUp, output: kept.text };
  } finally {
    try {
      await endRest();
    } finally {
      ends?.close();
    }
  }
}

function openEnds({ keeps, input }: ProgramRun, kept: KeptOutput) {
  // Only root can make a private null device.
  const isRoot = process.geteuid?.() === 0;
  const nullDevice = isRoot ? openNullDevice('both') : openSync('/dev/null', 'r+');
  // The program has copies of these. `node:fs` must close its own: at a worker thread's end, Node closes the rest, by number, which may be
  // another's by then.
  const childEnds = [() => closeSync(nullDevice)];
  const handOver = () => {
    for (const close of childEnds.splice(0)) close();
  };
  let sink: Writable | undefined;
  try {
    let stdin = nullDevice;
    if (input !== undefined) {
      const [readEnd, writeEnd] = linuxSystem.createPipe();
      childEnds.push(() => linuxSystem.close(readEnd));
      stdin = readEnd;
      sink = openSink(writeEnd);
      // A program that ends breaks the pipe; its exit says more than this error.
      sink.on('error', () => undefined);
    }
    const [read, output] = linuxSystem.createPipe();
    childEnds.push(() => linuxSystem.close(output));
    const drain = drainPipe(read, (chunk) => kept.push(chunk));
    const close = () => {
      handOver();
      drain.finish();
      sink?.destroy();
    };
    const stdio = keeps === 'stdout' ? [stdin, output, nullDevice] : [stdin, nullDevice, output];
    return { stdio, drain, sink, handOver, close };
  } catch (error) {
    handOver();
    sink?.destroy();
    throw error;
  }
}

/** Keeps the beginning and end of a program's output, in bounded memory. */
export class KeptOutput {
  #first = Buffer.alloc(0);
  #last = Buffer.alloc(0);
  #isWhole = true;

  push(chunk: Uint8Array): void {
    const free = HALF_BYTES - this.#first.length;
    if (free > 0) this.#first = Buffer.concat([this.#first, chunk.subarray(0, free)]);
    const rest = Buffer.concat([this.#last, chunk.subarray(free)]);
    if (rest.length > HALF_BYTES) this.#isWhole = false;
    this.#last = rest.subarray(-HALF_BYTES);
  }

  get text(): string {
    const between = Buffer.from(this.#isWhole ? '' : '\n…\n');
    return Buffer.concat([this.#first, between, this.#last]).toString('utf8');
  }
}

/**
 * Writes `input` to a program's standard input as fast as the program reads, then closes it. Also resolves when the program stops reading: its
 * exit says why. If `input` cannot be read, calls `kill` and resolves to the error.
 */
export async function feedProgram(
  input: AsyncIterable<Uint8Array>,
  stdin: Writable,
  kill: () => void,
): Promise<{ readonly error: unknown } | undefined> {
  try {
    for await (const chunk of input) {
      if (stdin.destroyed) return undefined;
      if (!stdin.write(chunk)) await untilWritable(stdin);
    }
    stdin.end();
    return undefined;
  } catch (error) {
    kill();
    return { error };
  }
}

/** Resolves when `stdin` takes more data, or is closed. */
function untilWritable(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      stdin.off('drain', settle);
      stdin.off('close', settle);
      resolve();
    };
    stdin.on('drain', settle);
    stdin.on('close', settle);
    if (stdin.destroyed) settle();
  });
}
