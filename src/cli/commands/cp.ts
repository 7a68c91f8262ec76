/** `stackshim cp`: copies files between this machine and a task. */
import { isatty } from 'node:tty';
import { StackshimError } from '../../core/errors.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { CopyReport } from '../../task/copying/copy-order.ts';
import { requireRoot } from '../../task/installation.ts';
import { READER_GONE } from '../exit-status.ts';
import { LEFT_OUT_REASONS } from '../print/left-out-reasons.ts';
import { writeMessage } from '../print/printable.ts';
import { descriptorSink } from '../run/descriptor-sink.ts';

const STREAM = '-';
const STDIN = 0;
const STDOUT = 1;

/** Resolves to the exit status: 1 if something was left out. */
export async function cp(source: string, destination: string): Promise<number> {
  const [from, to] = [parsePlace(source), parsePlace(destination)];
  requireRoot('copy files of tasks');
  if (from.id !== undefined && to.id === undefined) return await copyOut(from, to);
  if (from.id === undefined && to.id !== undefined) return await copyIn(from, to);
  throw invalid('exactly one of SRC and DST must be ID:PATH', { source, destination });
}

interface Place {
  readonly id: string | undefined;
  readonly path: string;
}

/** As in docker, text that begins with a slash or a dot is a path of this machine, also with a colon. */
function parsePlace(text: string): Place {
  const colon = text.indexOf(':');
  if (colon <= 0 || /^[./]/.test(text)) return { id: undefined, path: text };
  return { id: text.slice(0, colon), path: text.slice(colon + 1) };
}

async function copyOut({ id = '', path }: Place, to: Place): Promise<number> {
  const stackshim = openDoor();
  if (to.path !== STREAM) return report(path, await stackshim.copyFrom(id, path, to.path));
  if (isatty(STDOUT)) throw invalid('standard output is a terminal', { path: STREAM });
  let isGone = false;
  const stop = new AbortController();
  const sink = descriptorSink(STDOUT, () => {
    isGone = true;
    stop.abort();
  });
  try {
    return report(path, await stackshim.copyFrom(id, path, sink, { signal: stop.signal }));
  } catch (error) {
    if (isGone) return READER_GONE;
    throw error;
  }
}

async function copyIn(from: Place, { id = '', path }: Place): Promise<number> {
  const stackshim = openDoor();
  if (from.path !== STREAM) return report(from.path, await stackshim.copyTo(id, from.path, path));
  if (isatty(STDIN)) throw invalid('standard input is a terminal', { path: STREAM });
  try {
    return report(STREAM, await stackshim.copyTo(id, process.stdin, path));
  } finally {
    // A pending read of standard input would keep this process alive.
    process.stdin.destroy();
  }
}

const invalid = (problem: string, details: Readonly<Record<string, string>>) =>
  new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `cp: ${problem}`, {
    hint: 'stackshim cp ID:PATH DST, or stackshim cp SRC ID:PATH',
    details,
  });

function report(source: string, { leftOut, leftOutCount }: CopyReport): number {
  for (const { path, reason } of leftOut) {
    writeMessage(`stackshim: copy ${source}: left out ${path} (${LEFT_OUT_REASONS[reason]})\n`);
  }
  const more = leftOutCount - leftOut.length;
  if (more > 0) writeMessage(`stackshim: copy ${source}: left out ${more} more entries\n`);
  return leftOutCount === 0 ? 0 : 1;
}
