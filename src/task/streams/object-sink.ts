/** A caller's object as a sink. */
import { isPromiseLike } from '../caller-code.ts';
import type { OpenSink, OutputSink, SinkReport } from './output-sink.ts';

export class ObjectSink implements OpenSink {
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
    // An object tells everything by its promise.
  }
}
