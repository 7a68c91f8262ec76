/** A caller's stream or object, made a sink that cannot harm the task. */
import type { Writable } from 'node:stream';
import { ObjectSink } from './object-sink.ts';
import type { OpenSink, OutputSink, SinkReport } from './output-sink.ts';
import { StreamSink } from './stream-sink.ts';
import { isEmitter } from './watch-stream.ts';

/** A slow sink is waited for. A stream that was destroyed or ended drops what it is given. Nothing ends the sink. */
export const openSink = (target: OutputSink | Writable, report: SinkReport): OpenSink =>
  'destroyed' in target && isEmitter(target)
    ? new StreamSink(target, report)
    : new ObjectSink(target, report);
