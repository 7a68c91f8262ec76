/** Writes the output of a job to this process's standard output and standard error, as the task did. */
import type { JobLogPiece } from '../../worker/client/queues.ts';
import { descriptorSink } from '../run/descriptor-sink.ts';

const NEWLINE = 10;

/** @param onGone Called once, when the reader of the output has gone. */
export async function writeJobLog(
  pieces: AsyncIterable<JobLogPiece>,
  withTimes: boolean,
  onGone: () => void,
): Promise<void> {
  const sinks = { stdout: descriptorSink(1, onGone), stderr: descriptorSink(2, onGone) };
  const beginsLine = { stdout: true, stderr: true };
  for await (const { stream, at, bytes } of pieces) {
    const lines = withTimes ? withTime(bytes, `${at} `, beginsLine[stream]) : bytes;
    if (bytes.length > 0) beginsLine[stream] = bytes.at(-1) === NEWLINE;
    await sinks[stream].write(lines);
  }
}

/** Puts the time before each line that begins in these bytes. */
function withTime(bytes: Uint8Array, time: string, beginsLine: boolean): Uint8Array {
  const parts: Uint8Array[] = beginsLine && bytes.length > 0 ? [Buffer.from(time)] : [];
  let from = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
    parts.push(bytes.subarray(from, at + 1));
    from = at + 1;
    if (from < bytes.length) parts.push(Buffer.from(time));
  }
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}
