/** Streams that a caller gives. Unusable streams are refused before a task exists. One listener per event serves all tasks that use a stream. */

import type { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { messageOf } from '../../core/errors.ts';
import { invalidField } from '../../spec/field-errors.ts';
import type { OutputSink } from './output-sink.ts';

export interface CallerStreams {
  readonly stdin?: Readable;
  readonly stdout?: Writable | OutputSink;
  readonly stderr?: Writable | OutputSink;
}

/** Throws ERR_STACKSHIM_SPEC_INVALID for a stream that cannot be used. Checks standard input only if the task reads it. */
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

/** Why a stream cannot be the input. A stream at its end would be an empty input, which is most likely a mistake of the caller. */
function problemOf(stdin: Readable): string | undefined {
  if (typeof stdin?.on !== 'function') return 'not a readable stream';
  if (stdin.readable !== false) return undefined;
  if (stdin.errored) return `the stream has failed: ${messageOf(stdin.errored)}`;
  return stdin.readableEnded ? 'the stream was read to its end before' : 'the stream was destroyed';
}

export type StreamChange = 'drain' | 'finish' | 'close';

export interface StreamWatcher {
  failed(error: unknown): void;
  changed(change: StreamChange): void;
}

/** Whether a value has events to watch: a caller may pass any object with a `write`, or something useless. */
export const isEmitter = (value: unknown): value is EventEmitter =>
  typeof value === 'object' &&
  value !== null &&
  ['on', 'off'].every((name) => typeof Reflect.get(value, name) === 'function');

const CHANGES: readonly StreamChange[] = ['drain', 'finish', 'close'];
const watched = new WeakMap<EventEmitter, ReturnType<typeof listenOnce>>();

/** Watches a stream, so that its `error` event does not become an uncaught exception. Returns a function that stops watching. */
export function watchStream(stream: EventEmitter, watcher: StreamWatcher): () => void {
  const watch = watched.get(stream) ?? listenOnce(stream);
  watched.set(stream, watch);
  return watch(watcher);
}

/** Ignores a stream's errors, which would become uncaught exceptions. Returns a function that releases the stream after a pending error event. */
export function holdErrors(stream: Partial<Readable | Writable> & EventEmitter): () => void {
  let isLetGo = false;
  const unwatch = watchStream(stream, {
    failed: () => undefined,
    changed(change) {
      if (change === 'close' && isLetGo) unwatch();
    },
  });
  return () => {
    isLetGo = true;
    if (!stream.errored) unwatch();
    // `closed` is true a moment before the `close` event.
    else if (stream.closed) setImmediate(unwatch);
  };
}

/** Returns a function that adds a watcher and returns its remover. The stream has listeners only while it has watchers. */
function listenOnce(stream: EventEmitter): (watcher: StreamWatcher) => () => void {
  const watchers = new Set<StreamWatcher>();
  // Copies the set, because a watcher may stop watching meanwhile.
  const tell = (of: (watcher: StreamWatcher) => void) => [...watchers].forEach(of);
  const listeners: readonly (readonly [string, (error: unknown) => void])[] = [
    ['error', (error) => tell((watcher) => watcher.failed(error))],
    ...CHANGES.map((change) => [change, () => tell((watcher) => watcher.changed(change))] as const),
  ];
  return (watcher) => {
    if (watchers.size === 0) {
      for (const [event, listener] of listeners) stream.on(event, listener);
    }
    watchers.add(watcher);
    return () => {
      if (!watchers.delete(watcher) || watchers.size > 0) return;
      for (const [event, listener] of listeners) stream.off(event, listener);
    };
  };
}
