/** What a task writes: counted, passed on, captured within bounds, and cut off at the limit. */
import { type ChunkListener, type Drain, drainPipe } from '../../sys/pipes.ts';
import type { Fd } from '../../sys/system.ts';
import type { TaskOutput } from '../result.ts';
import { StreamCapture } from './capture.ts';
import type { OutputSink } from './output-sink.ts';

/** One of a task's two output streams; with a terminal all output is `stdout`. */
export type StreamName = 'stdout' | 'stderr';

export interface OutputOptions {
  /** Both streams together; what comes after is dropped. */
  readonly limitBytes: number;
  /** Null: nothing is captured. */
  readonly captureBytes: number | null;
  readonly sinks: { readonly [Name in StreamName]?: OutputSink };
  readonly onChunk: (stream: StreamName, chunk: Uint8Array) => void;
  /** Called once, when the limit is passed. */
  readonly onLimit: () => void;
}

/** How long a writer that outlived the task may hold a stream open before it is given up. */
const END_OF_STREAM_MS = 2_000;

const STDERR_HEAD_CHARACTERS = 2_000;

export class OutputMeter {
  readonly #options: OutputOptions;
  readonly #bytes = { stdout: 0, stderr: 0 };
  readonly #captures: { readonly [Name in StreamName]: StreamCapture } | undefined;
  readonly #drains: Drain[] = [];
  /** What waits to be passed on; null once the task has started. */
  #held: (() => void)[] | null = [];
  #limitPassed = false;
  #abandoned = false;
  /** How often a sink was waited for, and how many are at this moment. */
  #sinkWaits = 0;
  #waitingSinks = 0;
  #failure: unknown;
  #stderrHead = '';

  constructor(options: OutputOptions) {
    this.#options = options;
    const { captureBytes } = options;
    if (captureBytes === null) return;
    this.#captures = {
      stdout: new StreamCapture(captureBytes),
      stderr: new StreamCapture(captureBytes),
    };
  }

  /** The beginning of stderr: where a runtime says why the command could not be executed. */
  get stderrHead(): string {
    return this.#stderrHead;
  }

  /** Reads a stream to its end. Takes the descriptor over. */
  read(stream: StreamName, fd: Fd): void {
    this.readFrom(stream, (onChunk) => drainPipe(fd, onChunk));
  }

  /** The same, with a reader of the caller's. */
  readFrom(stream: StreamName, open: (onChunk: ChunkListener) => Drain): void {
    const drain = open((chunk) => this.#hold(stream, chunk) ?? this.#accept(stream, chunk));
    this.#drains.push(drain);
    drain.ended.catch((error: unknown) => this.fail(error));
  }

  /** Notes that a stream broke; `ended` tells, when the task's end is waited for. */
  fail(error: unknown): void {
    this.#failure ??= error;
  }

  /** The task has started: what it has written by now is passed on. Until then one chunk of each stream is held back. */
  release(): void {
    const held = this.#held;
    this.#held = null;
    for (const pass of held ?? []) pass();
  }

  #hold(stream: StreamName, chunk: Uint8Array): Promise<void> | undefined {
    if (this.#held === null) return undefined;
    const released = new Promise<void>((resolve) => this.#held?.push(resolve));
    return released.then(() => this.#accept(stream, chunk));
  }

  /** Takes one chunk; the promise, where there is one, asks the reader to wait for a slow sink. */
  #accept(stream: StreamName, chunk: Uint8Array): void | Promise<void> {
    const room = this.#options.limitBytes - this.#bytes.stdout - this.#bytes.stderr;
    this.#bytes[stream] += chunk.length;
    if (stream === 'stderr' && this.#stderrHead.length < STDERR_HEAD_CHARACTERS) {
      this.#stderrHead += Buffer.from(chunk).toString('utf8', 0, STDERR_HEAD_CHARACTERS);
    }
    const kept = chunk.length > room ? chunk.subarray(0, Math.max(0, room)) : chunk;
    if (kept.length > 0) {
      this.#captures?.[stream].push(kept);
      this.#options.onChunk(stream, kept);
    }
    if (kept.length < chunk.length) this.#passLimit();
    if (kept.length === 0) return;
    const pending = this.#options.sinks[stream]?.write(kept);
    return pending === undefined ? undefined : this.#waitFor(pending);
  }

  #passLimit(): void {
    if (this.#limitPassed) return;
    this.#limitPassed = true;
    this.#options.onLimit();
  }

  async #waitFor(pending: Promise<void>): Promise<void> {
    this.#sinkWaits += 1;
    this.#waitingSinks += 1;
    try {
      await pending;
    } finally {
      this.#waitingSinks -= 1;
    }
  }

  /**
   * Resolves when both streams have ended, or when a writer has outlived the task for too long: time counts only while no sink
   * is waited for. Rejects with the first error of reading or of a sink. Precondition: the task has ended.
   */
  async ended(): Promise<void> {
    const all = Promise.allSettled(this.#drains.map((drain) => drain.ended));
    for (;;) {
      const before = this.#sinkWaits;
      if (await settlesWithin(all, END_OF_STREAM_MS)) break;
      if (this.#waitingSinks > 0 || this.#sinkWaits !== before) continue;
      this.abandon();
      break;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Gives up reading, and waiting for slow sinks: what was not passed on by now is lost. */
  abandon(): void {
    this.#abandoned = true;
    for (const drain of this.#drains) drain.stop();
  }

  summary(): TaskOutput {
    const { stdout, stderr } = this.#bytes;
    const captures = this.#captures;
    const cut = this.#abandoned || stdout + stderr > this.#options.limitBytes;
    const counts = { stdoutBytes: stdout, stderrBytes: stderr };
    if (captures === undefined) return { ...counts, truncated: cut };
    return {
      ...counts,
      truncated: cut || captures.stdout.truncated || captures.stderr.truncated,
      stdout: captures.stdout.text(),
      stderr: captures.stderr.text(),
    };
  }
}

/** Whether `promise` settles in time. */
async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  const result = await Promise.race([settled, late]);
  clearTimeout(timer);
  return result;
}
