/** The target of `stack export` and `save`: a new file, an existing device or FIFO, or standard output. */
import { closeSync, constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { isatty } from 'node:tty';
import { errnoCodeOf, ReaderGone, reasonOf, StackshimError } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { pause } from '../core/pause.ts';
import { PathRefusal } from '../sys/output/open-folder.ts';
import {
  closeOutputPlace,
  createNewFile,
  type FilePlace,
  type NodePlace,
  type OutputPlace,
  openOutputPlace,
  openPlacedNode,
  ownDescriptor,
  syncPlace,
} from '../sys/output/output-place.ts';
import { fdPath } from '../sys/paths.ts';
import { writeFully } from '../sys/pipes.ts';
import { openNameless, readPieces } from './file-pieces.ts';

export interface Output {
  /** The name as the caller wrote it. */
  readonly name: string;
  readonly place: OutputPlace;
  readonly signal: AbortSignal | undefined;
}

const STANDARD_OUTPUT = '-';
const STDOUT = 1;
/** An image contains files that only root may read. */
const FILE_MODE = 0o600;
const READER_PAUSE_MS = 20;

/** Whether printed text would end up in the archive. */
export const isStandardOutput = (name: string): boolean =>
  name === STANDARD_OUTPUT || ownDescriptor(name) === STDOUT;

/**
 * Resolves the path once, before the work begins, and passes the place to `work`. Throws ERR_STACKSHIM_INPUT_NOT_FOUND if the place is not
 * writable, ERR_STACKSHIM_SPEC_INVALID for a terminal.
 */
export async function withOutput<T>(
  name: string,
  signal: AbortSignal | undefined,
  work: (output: Output) => Promise<T>,
): Promise<T> {
  const place: OutputPlace =
    name === STANDARD_OUTPUT
      ? { kind: 'descriptor', fd: STDOUT }
      : reachable(name, () => openOutputPlace(name));
  try {
    if (place.kind === 'descriptor') refuseTerminal(name, place.fd);
    return await work({ name, place, signal });
  } finally {
    closeOutputPlace(place);
  }
}

/** Writes an archive. A regular file gets its name once complete; another target gets the bytes once all are there. Throws {@link ReaderGone}. */
export async function writeArchive<T>(
  output: Output,
  layout: Layout,
  fill: (file: FileHandle) => Promise<T>,
): Promise<T> {
  if (output.place.kind === 'file') return await writeFile(output, output.place, fill);
  const file = await openNameless(layout);
  try {
    const result = await fill(file);
    await writeStream(output, readPieces(file));
    return result;
  } finally {
    await file.close();
  }
}

/** Like {@link writeArchive}, for a stream of bytes. */
export async function writeChunks(output: Output, chunks: AsyncIterable<Buffer>): Promise<void> {
  const { place } = output;
  if (place.kind !== 'file') return await writeStream(output, chunks);
  await writeFile(output, place, async (file) => {
    for await (const chunk of chunks) await file.writeFile(chunk);
  });
}

async function writeFile<T>(
  { name }: Output,
  place: FilePlace,
  fill: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const { fd, publish, discard } = reachable(name, () => createNewFile(place, FILE_MODE));
  try {
    const file = await open(fdPath(fd), 'r+');
    let result: T;
    try {
      result = await fill(file);
      await file.sync();
    } finally {
      await file.close();
    }
    reachable(name, publish);
    syncPlace(place);
    return result;
  } finally {
    discard();
    closeSync(fd);
  }
}

async function writeStream(output: Output, chunks: AsyncIterable<Buffer>): Promise<void> {
  const { name, place, signal } = output;
  if (place.kind === 'file') throw new Error('a file is written as a whole');
  const fd = place.kind === 'descriptor' ? place.fd : await openNode(output, place);
  try {
    refuseTerminal(name, fd);
    for await (const chunk of chunks) await writeFully(fd, chunk, signal);
  } catch (error) {
    throw errnoCodeOf(error) === 'EPIPE' ? new ReaderGone(name, error) : error;
  } finally {
    if (place.kind === 'node') closeSync(fd);
  }
}

/** Waits for a FIFO's reader: it may come late or go away, and the command must stay interruptible. */
async function openNode({ name, signal }: Output, place: NodePlace): Promise<number> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return openPlacedNode(place, constants.O_NONBLOCK);
    } catch (error) {
      if (errnoCodeOf(error) !== 'ENXIO') throw toUnreachable(name, error);
      await pause(READER_PAUSE_MS);
    }
  }
}

function refuseTerminal(name: string, fd: number): void {
  if (!isatty(fd)) return;
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `write ${name}: it is a terminal`, {
    hint: 'name a file, or redirect standard output to a file or a pipe',
    details: { path: name },
  });
}

/** Errors for a place that the caller cannot write to. */
const NO_PLACE = new Set(
  'ENOENT ENOTDIR EACCES EPERM EROFS ENAMETOOLONG ELOOP EBADF ENXIO'.split(' '),
);

function reachable<T>(name: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw toUnreachable(name, error);
  }
}

function toUnreachable(name: string, error: unknown): unknown {
  const isRefusal = error instanceof PathRefusal;
  if (!isRefusal && !NO_PLACE.has(errnoCodeOf(error) ?? '')) return error;
  return new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `write ${name}: ${reasonOf(error)}`, {
    hint: isRefusal ? error.hint : 'name a file in an existing folder to which you can write',
    details: { path: name },
    cause: error,
  });
}
