/** The place that a path given to a command leads to: a new regular file, an existing device or FIFO, or a descriptor of this process. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { errnoCodeOf } from '../../core/errors.ts';
import { randomName } from '../files.ts';
import { entryOf, fdPath, O_PATH } from '../paths.ts';
import type { Fd } from '../system.ts';
import { isOurs, isOursAlone } from '../trusted-path.ts';
import { openFolderOf, PathRefusal } from './open-folder.ts';

/** An open folder and a name in it: a write there makes a new file, or replaces a regular file of root. */
export interface FilePlace {
  readonly kind: 'file';
  readonly folder: Fd;
  readonly name: string;
  readonly passed: readonly string[];
}

/** A device or FIFO, by a descriptor that neither reads nor writes (O_PATH). */
export interface NodePlace {
  readonly kind: 'node';
  readonly node: Fd;
  readonly passed: readonly string[];
}

/** A descriptor of this process, which stays its owner's. */
export interface DescriptorPlace {
  readonly kind: 'descriptor';
  readonly fd: Fd;
}

export type OutputPlace = FilePlace | NodePlace | DescriptorPlace;

export interface NewFile {
  readonly fd: Fd;
  /** Gives the file its name, in one step. */
  publish(): void;
  /** Takes the file away unless it was published; a second call does nothing. Closes nothing. */
  discard(): void;
}

const STDOUT = 1;
const STDERR = 2;

/**
 * Resolves a path once: later writes go to what it led to then, whatever the path leads to by that time. The caller closes the place.
 * Throws {@link PathRefusal} for what another user may have put there, and the errors of the system.
 */
export function openOutputPlace(path: string): OutputPlace {
  const fd = ownDescriptor(path);
  if (fd !== undefined) {
    fstatSync(fd);
    return { kind: 'descriptor', fd };
  }
  if (path.endsWith('/')) throw new PathRefusal('it is a folder');
  const { fd: folder, name, passed, isLinked } = openFolderOf(path);
  try {
    const node = openNode(folder, { name, isLinked });
    if (node === undefined) return { kind: 'file', folder, name, passed };
    closeSync(folder);
    return { kind: 'node', node, passed };
  } catch (error) {
    closeSync(folder);
    throw error;
  }
}

export function closeOutputPlace(place: OutputPlace): void {
  if (place.kind === 'file') closeSync(place.folder);
  if (place.kind === 'node') closeSync(place.node);
}

/**
 * Makes a file in the place's folder, under a random name that nobody can have taken before. The caller closes it, then publishes or discards it.
 * @param mode Of the file; the umask may narrow it.
 */
export function createNewFile({ folder, name }: FilePlace, mode: number): NewFile {
  const temporary = entryOf(folder, `${name}.${randomName()}.tmp`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(temporary, flags, mode);
  let isOver = false;
  return {
    fd,
    publish() {
      // Somebody may have put another thing there since the path was resolved.
      const before = lstatSync(entryOf(folder, name), { throwIfNoEntry: false });
      if (before !== undefined && !(before.isFile() && isOurs(before))) {
        throw new PathRefusal('another user put something there meanwhile');
      }
      renameSync(temporary, entryOf(folder, name));
      isOver = true;
    },
    discard() {
      if (isOver) return;
      isOver = true;
      try {
        unlinkSync(temporary);
      } catch (error) {
        if (errnoCodeOf(error) !== 'ENOENT') throw error;
      }
    },
  };
}

/** Makes published files of the folder survive a power cut. */
export const syncPlace = ({ folder }: FilePlace): void => fsyncSync(folder);

/** Opens a device or FIFO to write. A FIFO without a reader waits for one, or throws ENXIO with O_NONBLOCK. */
export const openPlacedNode = ({ node }: NodePlace, flags = 0): Fd =>
  openSync(fdPath(node), constants.O_WRONLY | constants.O_NOCTTY | flags);

/** The device or FIFO of this name; undefined where a regular file may be put. */
function openNode(
  folder: Fd,
  { name, isLinked }: { readonly name: string; readonly isLinked: boolean },
): Fd | undefined {
  let node: Fd;
  try {
    node = openSync(entryOf(folder, name), O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const stats = fstatSync(node);
  const refusal = refusalOf();
  if (refusal === undefined && !stats.isFile()) return node;
  closeSync(node);
  if (refusal === undefined) return undefined;
  throw new PathRefusal(refusal);

  function refusalOf(): string | undefined {
    if (stats.isDirectory()) return 'it is a folder';
    if (stats.isSymbolicLink()) return 'another user has put a link there';
    if (isOurs(stats)) return undefined;
    if (stats.isFile())
      return `the file ${isLinked ? 'that it names ' : ''}belongs to another user`;
    return isOursAlone(fstatSync(folder)) ? undefined : 'another user has put it there';
  }
}

/** A descriptor is used as it is: what it is open on cannot always be opened by its path, and its name must never be replaced. */
export function ownDescriptor(path: string): Fd | undefined {
  if (path === '/dev/stdout') return STDOUT;
  if (path === '/dev/stderr') return STDERR;
  const digits = /^\/(?:dev|proc\/self)\/fd\/(\d{1,7})$/.exec(path)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
