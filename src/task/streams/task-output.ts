/** A task's output: counted, passed on, captured within bounds, and cut off at the limit. */
import type { Writable } from 'node:stream';
import { toStackshimError } from '../../core/errors.ts';
import { openPromise, within } from '../../core/pause.ts';
import { type ChunkListener, type Drain, drainPipe } from '../../sys/pipes.ts';
import type { Fd } from '../../sys/system.ts';
import type { TaskLog } from '../reports/task-log.ts';
import type { TaskOutput } from '../result.ts';
import type { StreamCapture } from './capture.ts';
import { openSink } from './open-sink.ts';
import type { OpenSink, OutputSink } from './output-sink.ts';

/** One of a task's two output streams; with a terminal, all output is `stdout`. */
export type StreamName = 'stdout' | 'stderr';

export interface OutputOptions {
  /** The limit for both streams together; output beyond it is dropped. */
  readonly limitBytes: number;
  /** Undefined if nothing is captured. */
  readonly captures: { readonly [Name in StreamName]: StreamCapture } | undefined;
  readonly sinks: { readonly [Name in StreamName]?: OutputSink | Writable | undefined };
  /** Keeps the output beyond the task's end. */
  readonly log: TaskLog | undefined;
  readonly onChunk: (stream: StreamName, chunk: Uint8Array) => void;
  /** Called once, when the limit is exceeded. */
  readonly onLimit: () => void;
}

/** How long a sink may take nothing after the task was stopped or its time was over. */
const STALLED_AFTER_MS = 10_000;
const LOOK_MS = 250;
/** How long to wait for a stream to report whether it has written the output that it buffered last. */
const LAST_WRITES_MS = 1_000;

const STDERR_HEAD_CHARACTERS = 2_000;

export class OutputMeter {
  readonly #options: OutputOptions;
  readonly #bytes = { stdout: 0, stderr: 0 };
  readonly #sinks: { readonly [Name in StreamName]: OpenSink | undefined };
  readonly #drains: Drain[] = [];
  /** Functions that release held chunks; null once the task has started. */
  #held: (() => void)[] | null = [];
  #isLimitPassed = false;
  /** How many sinks the output waits for, and when one of them last took something. */
  #waitingSinks = 0;
  #takenAt = 0;
  #lostBytes = 0;
  /** Functions that end the wait for a sink for good. */
  readonly #giveUps = new Set<() => void>();
  #isGivenUp = false;
  #stallTimer: NodeJS.Timeout | undefined;
  #failure: unknown;
  #stderrHead = '';

  constructor(options: OutputOptions) {
    this.#options = options;
    const { stdout, stderr } = options.sinks;
    this.#sinks = {
      stdout: stdout && this.#open('stdout', stdout),
      stderr: stderr && this.#open('stderr', stderr),
    };
  }

  #open(name: StreamName, target: OutputSink | Writable): OpenSink {
    return openSink(target, {
      lost: (bytes) => {
        // Bytes that a sink still had when the wait was given up are counted already.
        if (!this.#isGivenUp) this.#lostBytes += bytes;
      },
      failed: (error) =>
        this.fail(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `pass on the task's ${name}`)),
    });
  }

  /** The beginning of stderr, where a runtime reports why the command could not be executed. */
  get stderrHead(): string {
    return this.#stderrHead;
  }

  get isLimitPassed(): boolean {
    return this.#isLimitPassed;
  }

  /** Reads a stream to its end. Takes ownership of the descriptor. */
  read(stream: StreamName, fd: Fd): void {
    this.readFrom(stream, (onChunk) => drainPipe(fd, onChunk));
  }

  /** Like {@link OutputMeter.read}, with a reader of the caller's. */
  readFrom(stream: StreamName, open: (onChunk: ChunkListener) => Drain): void {
    const drain = open((chunk) => this.#hold(stream, chunk) ?? this.#accept(stream, chunk));
    this.#drains.push(drain);
    drain.ended.catch((error: unknown) => this.fail(error));
  }

  /** Stores the error of a broken stream; `ended` rejects with the first one. */
  fail(error: unknown): void {
    this.#failure ??= error;
  }

  /** Like {@link OutputMeter.fail}, for the task's input. */
  failInput(error: unknown): void {
    this.fail(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', "pass on the task's input"));
  }

  /** Passes on held output. Call it when the task has started; before that, one chunk of each stream is held back. */
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

  /** Takes one chunk. While the returned promise is pending, the reader must wait for a slow sink. */
  #accept(stream: StreamName, chunk: Uint8Array): void | Promise<void> {
    const room = this.#options.limitBytes - this.#bytes.stdout - this.#bytes.stderr;
    this.#bytes[stream] += chunk.length;
    if (stream === 'stderr' && this.#stderrHead.length < STDERR_HEAD_CHARACTERS) {
      const beginning = chunk.subarray(0, STDERR_HEAD_CHARACTERS);
      this.#stderrHead += Buffer.from(beginning).toString('utf8');
    }
    const kept = chunk.length > room ? chunk.subarray(0, Math.max(0, room)) : chunk;
    if (kept.length > 0) {
      this.#options.captures?.[stream].push(kept);
      this.#options.onChunk(stream, kept);
    }
    if (kept.length < chunk.length && !this.#isLimitPassed) {
      this.#isLimitPassed = true;
      this.#options.onLimit();
    }
    if (kept.length === 0) return;
    const { log } = this.#options;
    const passed = this.#passOn(stream, kept);
    if (log === undefined) return passed;
    const logged = this.#log(log, stream, kept);
    return Promise.all([passed, logged]).then(() => undefined);
  }

  /** Waits for a slow disk as for a slow sink. The log counts the bytes that it loses. */
  #log(log: TaskLog, stream: StreamName, chunk: Uint8Array): void | Promise<void> {
    if (!this.#isGivenUp) return this.#waitFor(log.write(stream, chunk), 0);
    void log.write(stream, Buffer.from(chunk));
  }

  #passOn(stream: StreamName, chunk: Uint8Array): void | Promise<void> {
    const sink = this.#sinks[stream];
    if (sink === undefined) return;
    if (this.#isGivenUp) {
      this.#lostBytes += chunk.length;
      return;
    }
    const pending = sink.write(chunk);
    return pending === undefined ? undefined : this.#waitFor(pending, chunk.length);
  }

  async #waitFor(pending: Promise<void>, bytes: number): Promise<void> {
    this.#waitingSinks += 1;
    const { promise: givenUp, resolve: giveUp } = openPromise();
    this.#giveUps.add(giveUp);
    const isSettled = await Promise.race([pending.then(() => true), givenUp]);
    if (isSettled !== true) this.#lostBytes += bytes;
    this.#giveUps.delete(giveUp);
    this.#waitingSinks -= 1;
    this.#takenAt = performance.now();
  }

  /** Ends the output. Call it when no process of the task is left: bytes that are written later come from other processes. */
  cutOff(): void {
    for (const drain of this.#drains) drain.finish();
  }

  /** Like {@link OutputMeter.cutOff}, but first passes on what is held back. */
  finish(): void {
    this.release();
    this.cutOff();
  }

  /** Resolves when everything has been read and passed on. Rejects with the first error of reading or of a sink. Call `finish` first. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#drains.map((drain) => drain.ended));
    clearInterval(this.#stallTimer);
    const unsettled = Object.values(this.#sinks).flatMap((sink) => sink?.settled() ?? []);
    if (unsettled.length > 0 && !this.#isGivenUp) {
      await within(Promise.all(unsettled), LAST_WRITES_MS);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Releases the sinks. Call it when no more output comes. */
  close(): void {
    for (const sink of Object.values(this.#sinks)) sink?.close();
  }

  /** Limits the wait for sinks of an ended task that was stopped or timed out to 10 s in which no sink takes anything. A second call does nothing. */
  hurry(): void {
    if (this.#stallTimer !== undefined) return;
    this.#takenAt = performance.now();
    this.#stallTimer = setInterval(() => {
      if (this.#waitingSinks === 0) this.#takenAt = performance.now();
      else if (performance.now() - this.#takenAt > STALLED_AFTER_MS) this.dropSinks();
    }, LOOK_MS);
  }

  /** Stops waiting for sinks and passes on nothing more; bytes that the sinks have not taken count as lost. */
  dropSinks(): void {
    this.#isGivenUp = true;
    clearInterval(this.#stallTimer);
    for (const giveUp of this.#giveUps) giveUp();
  }

  summary(): TaskOutput {
    const { stdout, stderr } = this.#bytes;
    const { captures, log } = this.#options;
    const lostBytes = this.#lostBytes;
    const cut = lostBytes > 0 || stdout + stderr > this.#options.limitBytes;
    const counts = { stdoutBytes: stdout, stderrBytes: stderr, lostBytes };
    const kept = log === undefined ? {} : { log: log.summary() };
    if (captures === undefined) return { ...counts, truncated: cut, ...kept };
    return {
      ...counts,
      ...kept,
      truncated: cut || captures.stdout.truncated || captures.stderr.truncated,
      stdout: captures.stdout.text(),
      stderr: captures.stderr.text(),
    };
  }
}
