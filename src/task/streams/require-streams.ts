/** The streams that a caller gives: those that cannot be used are refused before there is a task. */
import type { Readable, Writable } from 'node:stream';
import { messageOf } from '../../core/errors.ts';
import { invalidField } from '../../spec/field-errors.ts';
import type { OutputSink } from './output-sink.ts';

export interface CallerStreams {
  readonly stdin?: Readable;
  readonly stdout?: Writable | OutputSink;
  readonly stderr?: Writable | OutputSink;
}

/** Throws ERR_STACKSHIM_SPEC_INVALID. A standard input is looked at only where the task reads it. */
export function requireStreams(
  { stdin, stdout, stderr }: CallerStreams,
  { interactive }: { readonly interactive: boolean },
): void {
  if (interactive && stdin !== undefined) {
    const problem = problemOf(stdin);
    if (problem !== undefined) throw invalidField('stdin', problem);
  }
  for (const [name, sink] of Object.entries({ stdout, stderr })) {
    if (sink !== undefined && typeof sink?.write !== 'function') {
      throw invalidField(name, 'neither a stream nor an object with a write function');
    }
  }
}

/** A stream that gives nothing any more would be an empty input: most likely a mistake of the caller. */
function problemOf(stdin: Readable): string | undefined {
  if (typeof stdin?.on !== 'function') return 'not a readable stream';
  if (stdin.readable !== false) return undefined;
  if (stdin.errored) return `the stream has failed: ${messageOf(stdin.errored)}`;
  return stdin.readableEnded ? 'the stream was read to its end before' : 'the stream was destroyed';
}
