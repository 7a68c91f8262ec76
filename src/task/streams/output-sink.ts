/** Where a task's output goes while it runs. Whatever a caller's sink does, the task goes on: what the sink did not take is counted. */
import type { Writable } from 'node:stream';
import { isPromiseLike } from '../caller-code.ts';
import { StreamSink } from './stream-sink.ts';

/**
 * Takes chunks in order. A promise asks that no more are given until it resolves. A sink that throws, or whose promise rejects, is
 * given nothing more.
 */
export interface OutputSink {
  write(chunk: Uint8Array): void | Promise<void>;
}

/** Whom a sink tells of what it did not take. */
export interface SinkReport {
  /** Of bytes that were handed over. */
  lost(bytes: number): void;
  /** Why; told once. */
  failed(error: unknown): void;
}

/** A caller's sink, made safe. */
export interface OpenSink {
  /** Never throws; the promise never rejects, and asks to wait until it has resolved. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** Resolves when the fate of all that was written is known; undefined: it is. */
  settled(): Promise<void> | undefined;
  /** Nothing more will be written. */
  close(): void;
}

/** A slow stream is waited for; one that was destroyed or ended drops what it is given. Nothing ends it. */
export const openSink = (target: OutputSink | Writable, report: SinkReport): OpenSink =>
  'destroyed' in target ? new StreamSink(target, report) : new ObjectSink(target, report);

class ObjectSink implements OpenSink {
  readonly #target: OutputSink;
  readonly #report: SinkReport;
  #isBroken = false;

  constructor(target: OutputSink, report: SinkReport) {
    this.#target = target;
    this.#report = report;
  }

  write(chunk: Uint8Array): void | Promise<void> {
    const bytes = chunk.length;
    if (this.#isBroken) return this.#report.lost(bytes);
    try {
      const pending: unknown = this.#target.write(chunk);
      if (!isPromiseLike(pending)) return;
      return Promise.resolve(pending).then(
        () => undefined,
        (error: unknown) => this.#break(error, bytes),
      );
    } catch (error) {
      this.#break(error, bytes);
    }
  }

  #break(error: unknown, bytes: number): void {
    this.#report.lost(bytes);
    if (!this.#isBroken) this.#report.failed(error);
    this.#isBroken = true;
  }

  settled(): undefined {
    return undefined;
  }

  close(): void {
    // There is nothing that could be told later.
  }
}
