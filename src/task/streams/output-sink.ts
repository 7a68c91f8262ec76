/** Where a task's output goes while it runs. */
import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Takes chunks in order. A promise asks that no more are given until it resolves; a rejected one breaks the stream. */
export interface OutputSink {
  write(chunk: Uint8Array): void | Promise<void>;
}

/** A stream as a sink: a slow one is waited for, one that was destroyed drops what it is given. Nothing ends it. */
export function toOutputSink(target: OutputSink | Writable): OutputSink {
  if (!('destroyed' in target)) return target;
  return {
    write(chunk) {
      if (target.destroyed || target.write(chunk)) return;
      return Promise.race([once(target, 'drain'), once(target, 'close')]).then(() => undefined);
    },
  };
}
