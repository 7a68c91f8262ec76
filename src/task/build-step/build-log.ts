/** Collects the output of a build step, both streams in the order in which they were written. */
import { StreamCapture } from '../streams/capture.ts';
import type { OutputSink } from '../streams/output-sink.ts';

/** A longer log loses its middle. */
const LOG_BYTES = 1024 * 1024;
const TAIL_LINES = 40;
const TAIL_CHARS = 4096;

export class BuildLog implements OutputSink {
  readonly #kept = new StreamCapture(LOG_BYTES);

  write(chunk: Uint8Array): void {
    this.#kept.push(chunk);
  }

  text(): string {
    return this.#kept.text();
  }
}

/** The last lines of a log, for people who look for the reason of a failure. */
export const tailOf = (log: string): string =>
  log.trimEnd().slice(-TAIL_CHARS).split('\n').slice(-TAIL_LINES).join('\n');
