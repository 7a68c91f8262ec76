import type { Writable } from 'node:stream';
import { isPromiseLike } from '../caller-code.ts';
import type { OpenSink, OutputSink, SinkReport } from './output-sink.ts';
import { StreamSink } from './stream-sink.ts';
import { isEmitter } from './watch-stream.ts';

/**
 * Wraps a caller's stream or object as a sink that cannot harm the task. A slow sink delays the output. A stream that was destroyed or ended
 * drops its chunks. The sink is never ended.
 */
export const openSink = (target: OutputSink | Writable, report: SinkReport): OpenSink =>
  'destroyed' in target && isEmitter(target)
    ? new StreamSink(target, report)
    : new ObjectSink(target, report);

/** A caller's object as a sink. */
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
    // An object reports everything through its promises.
  }
}
