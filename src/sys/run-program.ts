/**
 * Which way to start a program:
 * - `runProgram`, on the way of a task: it starts quickly, takes what is written to it, and says a few words.
 * - `startProgram`, below it, for a program that gets descriptors of the caller's: runtimes, builders, holders of namespaces.
 * - `startTool` and `askTool` (`start-tool.ts`) for everything else: filters and questions to tools. They load execa, which takes as long as
 *   the start of a container.
 * - `posixSpawn` alone for a program that outlives this process: nobody here waits for it.
 * In each way the program leads a process group of its own, which is killed as a whole, and gets none of the caller's environment; output is
 * bounded, and so is time where the caller says so.
 */
import { openSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { linuxSystem } from './linux-system.ts';
import { type Drain, drainPipe, openSink } from './pipes.ts';
import type { SpawnRequest } from './posix-spawn.ts';
import {
  endWithin,
  type GivenUp,
  openNullDevice,
  type RunBounds,
  startProgram,
} from './start-program.ts';
import type { Fd, ProcessExit } from './system.ts';

/** The most that is kept of what a program says, which becomes a detail of an error. */
const SAID_BYTES = 16_384;

export interface ProgramRun extends Omit<SpawnRequest, 'stdio'>, RunBounds {
  /** Whose words are kept; the other stream is dropped. Default: those of standard error. */
  readonly keeps?: 'stdout' | 'stderr';
  /** Its standard input, read as fast as the program takes it. Default: none. */
  readonly input?: AsyncIterable<Uint8Array>;
  /**
   * Called once, when the program has ended or could not be started: ends whatever the program started that may hold its pipes. What it
   * throws is passed on.
   */
  readonly onExit?: () => Promise<void>;
}

export interface EndedProgram extends ProcessExit {
  /** What it said: the beginning and the end, where that is long. */
  readonly said: string;
  readonly givenUp: GivenUp | undefined;
}

/** Runs a program to its end. Rejects when it could not be started, and with what reading `input` throws; the program has ended by then. */
export async function runProgram(run: ProgramRun): Promise<EndedProgram> {
  const words = new KeptWords(SAID_BYTES);
  let isOver = false;
  const endRest = async () => {
    if (isOver) return;
    isOver = true;
    await run.onExit?.();
  };
  let ends: ProgramEnds | undefined;
  try {
    ends = openEnds(run, words);
    const program = startProgram({ ...run, stdio: ends.stdio });
    await program.running.finally(ends.handOver);
    const feeding = feed(run, ends.sink, () => program.killAll());
    const { end, givenUp } = await endWithin(program, run);
    await endRest();
    ends.sink?.destroy();
    const failure = await feeding;
    // Processes that the program started may keep the pipe open.
    ends.drain.finish();
    await ends.drain.ended;
    if (failure !== undefined) throw failure.error;
    return { ...end, givenUp, said: words.text };
  } finally {
    await endRest();
    ends?.close();
  }
}

interface ProgramEnds {
  readonly stdio: readonly Fd[];
  readonly drain: Drain;
  readonly sink: Writable | undefined;
  /** Closes what the program has copies of. */
  handOver(): void;
  /** Everything else. */
  close(): void;
}

function openEnds({ keeps, input }: ProgramRun, words: KeptWords): ProgramEnds {
  const theirs = [openSilence()];
  const [silent = -1] = theirs;
  const handOver = () => {
    for (const fd of theirs.splice(0)) linuxSystem.close(fd);
  };
  let sink: Writable | undefined;
  try {
    let stdin = silent;
    if (input !== undefined) {
      const [readEnd, writeEnd] = linuxSystem.createPipe();
      theirs.push(readEnd);
      stdin = readEnd;
      sink = openSink(writeEnd);
      // A program that ends breaks the pipe; how it ended tells more than that.
      sink.on('error', () => undefined);
    }
    const [read, said] = linuxSystem.createPipe();
    theirs.push(said);
    const drain = drainPipe(read, (chunk) => words.push(chunk));
    const close = () => {
      handOver();
      drain.finish();
      sink?.destroy();
    };
    const stdio = keeps === 'stdout' ? [stdin, said, silent] : [stdin, silent, said];
    return { stdio, drain, sink, handOver, close };
  } catch (error) {
    handOver();
    sink?.destroy();
    throw error;
  }
}

/** Only root can make a null device of its own. */
const openSilence = (): Fd =>
  process.geteuid?.() === 0 ? openNullDevice('both') : openSync('/dev/null', 'r+');

/** Resolves to why the input could not be read, if it could not. */
async function feed(
  { input }: ProgramRun,
  sink: Writable | undefined,
  kill: () => void,
): Promise<{ readonly error: unknown } | undefined> {
  if (input === undefined || sink === undefined) return undefined;
  try {
    await feedProgram(input, sink);
    return undefined;
  } catch (error) {
    kill();
    return { error };
  }
}

/** What a program says, bounded: its first and its last words. */
export class KeptWords {
  readonly #half: number;
  #first = Buffer.alloc(0);
  #last = Buffer.alloc(0);
  #isWhole = true;

  /** @param bytes The most that is kept, of which one half are the last. */
  constructor(bytes: number) {
    this.#half = bytes / 2;
  }

  push(chunk: Uint8Array): void {
    const free = this.#half - this.#first.length;
    if (free > 0) this.#first = Buffer.concat([this.#first, chunk.subarray(0, free)]);
    const rest = Buffer.concat([this.#last, chunk.subarray(free)]);
    if (rest.length > this.#half) this.#isWhole = false;
    this.#last = rest.subarray(-this.#half);
  }

  get text(): string {
    const between = Buffer.from(this.#isWhole ? '' : '\n…\n');
    return Buffer.concat([this.#first, between, this.#last]).toString('utf8');
  }
}

/**
 * Writes `input` to a program's standard input, as fast as it reads, and closes that at the end. Resolves also when the program reads no more:
 * its exit tells why. Rejects with what reading `input` throws.
 */
export async function feedProgram(
  input: AsyncIterable<Uint8Array>,
  stdin: Writable,
): Promise<void> {
  for await (const chunk of input) {
    if (stdin.destroyed) return;
    if (!stdin.write(chunk)) await untilWritable(stdin);
  }
  stdin.end();
}

/** Resolves when `stdin` takes more, or never will again. */
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
