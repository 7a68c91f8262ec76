/** Makes a caller's sink safe: a stream or an object that takes a task's output. */
import type { Writable } from 'node:stream';
import { isPromiseLike, warn } from '../events.ts';
import { isEmitter, type StreamChange, watchStream } from './caller-streams.ts';
import type { OpenSink, OutputSink, SinkReport } from './output-sink.ts';

/** Wraps a caller's sink so that it cannot harm the task. A slow sink delays output; a destroyed or ended stream drops chunks. Never ends a sink. */
export const openSink = (target: OutputSink | Writable, report: SinkReport): OpenSink =>
  'destroyed' in target && isEmitter(target)
    ? new StreamSink(target, report)
    : openObject(target, report);

/** A caller's object as a sink. */
function openObject(target: OutputSink, report: SinkReport): OpenSink {
  let isBroken = false;
  const breakOff = (error: unknown, bytes: number) => {
    report.lost(bytes);
    if (!isBroken) report.failed(error);
    isBroken = true;
  };
  return {
    write(chunk) {
      const bytes = chunk.length;
      if (isBroken) return report.lost(bytes);
      try {
        const pending: unknown = target.write(chunk);
        if (!isPromiseLike(pending)) return;
        return Promise.resolve(pending).then(
          () => undefined,
          (error: unknown) => breakOff(error, bytes),
        );
      } catch (error) {
        breakOff(error, bytes);
      }
    },
    settled: () => undefined,
    // An object reports everything through its promises.
    close: () => undefined,
  };
}

/** A chunk that the stream has neither written nor lost yet. */
interface Write {
  readonly bytes: number;
  /** Resumes the task's output, which waits until the stream takes more. */
  wake: () => void;
}

/** A caller's stream as a sink. A stream may fail long after it has buffered a chunk; its events and callbacks report that. */
class StreamSink implements OpenSink {
  readonly #target: Writable;
  readonly #report: SinkReport;
  readonly #unwatch: () => void;
  readonly #writes = new Set<Write>();
  #hasFailed = false;
  /** A callback got an error whose `error` event has not come yet. */
  #awaitsError = false;
  #isClosed = false;
  #onSettled: () => void = () => undefined;

  constructor(target: Writable, report: SinkReport) {
    this.#target = target;
    this.#report = report;
    this.#unwatch = watchStream(target, {
      failed: (error) => this.#onError(error),
      changed: (change) => this.#onChange(change),
    });
  }

  write(chunk: Uint8Array): void | Promise<void> {
    const target = this.#target;
    if (this.#hasFailed || target.destroyed || target.writableEnded) {
      if (target.errored) this.#fail(target.errored);
      return this.#report.lost(chunk.length);
    }
    const write: Write = { bytes: chunk.length, wake: () => undefined };
    this.#writes.add(write);
    try {
      if (target.write(chunk, (error) => this.#settle(write, error)) !== false) return;
    } catch (error) {
      this.#settle(write, error);
      this.#awaitsError = false;
      return;
    }
    if (!this.#writes.has(write)) return;
    return new Promise((resolve) => {
      write.wake = resolve;
    });
  }

  settled(): Promise<void> | undefined {
    if (this.#writes.size === 0) return undefined;
    return new Promise((resolve) => {
      this.#onSettled = resolve;
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#unwatchAtEnd();
  }

  #settle(write: Write, error: unknown): void {
    if (!this.#writes.delete(write)) return;
    if (error) {
      this.#report.lost(write.bytes);
      if (!isDestroyed(error)) {
        this.#awaitsError = true;
        this.#fail(error);
      }
    }
    write.wake();
    if (this.#writes.size === 0) this.#onSettled();
    this.#unwatchAtEnd();
  }

  #onError(error: unknown): void {
    this.#awaitsError = false;
    this.#fail(error);
    this.#wakeAll();
    this.#unwatchAtEnd();
  }

  #onChange(change: StreamChange): void {
    this.#wakeAll();
    if (change !== 'close') return;
    this.#awaitsError = false;
    // The stream never calls the callbacks of chunks that were being written when it was destroyed.
    for (const write of [...this.#writes]) {
      this.#report.lost(write.bytes);
      this.#settle(write, undefined);
    }
    this.#unwatchAtEnd();
  }

  #wakeAll(): void {
    for (const { wake } of this.#writes) wake();
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    // The result is complete, so a process warning is the only way to report it.
    if (this.#isClosed) warn(error);
    else this.#report.failed(error);
  }

  /** Unwatches only after the last write: an error without a listener would end the program. */
  #unwatchAtEnd(): void {
    if (this.#isClosed && this.#writes.size === 0 && !this.#awaitsError) this.#unwatch();
  }
}

/** Whether the stream's owner destroyed it, which is not a failure of the stream. */
const isDestroyed = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_DESTROYED';
