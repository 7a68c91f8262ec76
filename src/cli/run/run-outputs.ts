/** The files of `--result` and `--events`: opened before the task starts, and never where the task can write. */
import { accessSync, closeSync, constants, writeFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { isUsedUp, reasonOf, StackshimError, toStackshimError } from '../../core/errors.ts';
import { parseMounts } from '../../spec/parse-mounts.ts';
import { PathRefusal } from '../../sys/output/open-folder.ts';
import {
  closeOutputPlace,
  createNewFile,
  type FilePlace,
  type OutputPlace,
  openOutputPlace,
  openPlacedNode,
} from '../../sys/output/output-place.ts';
import { sourceAbove } from '../../sys/output/seen-below.ts';
import { fdPath } from '../../sys/paths.ts';
import { type RunOptions, toMounts } from '../define/run-options.ts';

/** Other users may read the file, because root may run tasks for them. The umask may narrow the mode. */
const FILE_MODE = 0o644;
const HINT = 'name a file in an existing folder to which you can write';

/** Returns the function that writes the result. It replaces a regular file in one step; a pipe, a device or a descriptor is opened now. */
export function openResult(path: string, options: RunOptions): (json: string) => void {
  return writable(path, () => {
    const place = openPlace(path, options);
    if (place.kind !== 'file') {
      const fd = openStream(place);
      return (json) => writeFileSync(fd, json);
    }
    accessSync(fdPath(place.folder), constants.W_OK);
    return (json) => writable(path, () => replaceFile(place, json));
  });
}

/** Replaces a regular file by an empty one now. */
export const openEvents = (path: string, options: RunOptions): number =>
  writable(path, () => {
    const place = openPlace(path, options);
    if (place.kind !== 'file') return openStream(place);
    const file = createNewFile(place, FILE_MODE);
    try {
      file.publish();
    } catch (error) {
      closeSync(file.fd);
      file.discard();
      throw error;
    } finally {
      closeOutputPlace(place);
    }
    return file.fd;
  });

/** Throws ERR_STACKSHIM_SPEC_INVALID if a tar cannot go to standard output. */
export function requireTarOutput({ json, tty }: RunOptions): void {
  const problem = json ? '--json writes there' : tty ? '--tty writes there' : undefined;
  const refusal = problem ?? (isatty(STDOUT) ? 'it is a terminal' : undefined);
  if (refusal === undefined) return;
  const message = `write a tar to standard output: ${refusal}`;
  const hint = 'name a folder as the destination of --output, or redirect standard output';
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { hint });
}

const STDOUT = 1;

function openPlace(path: string, options: RunOptions): OutputPlace {
  const place = openOutputPlace(path);
  const asked = toMounts(options);
  if (place.kind === 'descriptor' || (asked.mounts ?? asked.volumes) === undefined) return place;
  const { mounts } = parseMounts({ stack: '', ...asked });
  const sources = mounts.filter(({ readOnly }) => !readOnly).map(({ source }) => source);
  const source = sources.length === 0 ? undefined : sourceAbove(sources, place.passed);
  if (source === undefined) return place;
  closeOutputPlace(place);
  const message = `write ${path}: the task can write to ${source}`;
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, {
    hint: 'name a file outside of the folders to which the task can write, or bind them read-only',
    details: { path, source },
  });
}

function openStream(place: Exclude<OutputPlace, FilePlace>): number {
  if (place.kind === 'descriptor') return place.fd;
  try {
    return openPlacedNode(place);
  } finally {
    closeOutputPlace(place);
  }
}

/** Replaces the file in one step. Closes the place. */
export function replaceFile(place: FilePlace, text: string): void {
  try {
    const file = createNewFile(place, FILE_MODE);
    try {
      writeFileSync(file.fd, text);
      file.publish();
    } finally {
      closeSync(file.fd);
      file.discard();
    }
  } finally {
    closeOutputPlace(place);
  }
}

function writable<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    if (isUsedUp(error)) throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `write ${path}`);
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `write ${path}: ${reasonOf(error)}`, {
      cause: error,
      hint: error instanceof PathRefusal ? error.hint : HINT,
      details: { path },
    });
  }
}
