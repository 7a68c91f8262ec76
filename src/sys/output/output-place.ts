/** The target of a path given to a command: a regular file, an existing device or FIFO, or a descriptor of this process. */
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
import { unlessMissing } from '../../core/errors.ts';
import { randomName } from '../files.ts';
import { entryOf, fdPath, O_PATH } from '../paths.ts';
import type { Fd } from '../system.ts';
import { isOurs, isOursAlone } from '../trusted-path.ts';
import { openFolderOf, PathRefusal } from './open-folder.ts';

/** An open folder and a name in it: writing creates a file, or replaces a regular file of root. */
export interface FilePlace {
  readonly kind: 'file';
  readonly folder: Fd;
  readonly name: string;
  readonly passed: readonly string[];
}

/** A device or FIFO, as a descriptor that can neither read nor write (O_PATH). */
export interface NodePlace {
  readonly kind: 'node';
  readonly node: Fd;
  readonly passed: readonly string[];
}

/** A descriptor of this process; its owner closes it. */
export interface DescriptorPlace {
  readonly kind: 'descriptor';
  readonly fd: Fd;
}

export type OutputPlace = FilePlace | NodePlace | DescriptorPlace;

export interface NewFile {
  readonly fd: Fd;
  /** Gives the file its name, atomically. */
  publish(): void;
  /** Removes the file unless it was published. Does nothing on a second call. Does not close the file. */
  discard(): void;
}

const STDOUT = 1;
const STDERR = 2;

/**
 * Resolves a path once: later writes go to the place found now, even if the path leads elsewhere by then. The caller closes the place. Throws
 * {@link PathRefusal} for a path that another user may have redirected, and system errors.
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
 * Creates a file in the place's folder under a random name, which nobody can have taken before. The caller closes the file, then publishes or
 * discards it.
 * @param mode The file's mode; the umask may narrow it.
 */
export function createNewFile({ folder, name }: FilePlace, mode: number): NewFile {
  const temporary = entryOf(folder, `${name}.${randomName()}.tmp`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(temporary, flags, mode);
  let isOver = false;
  return {
    fd,
    publish() {
      // Another user may have put something there since the path was resolved.
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
      unlessMissing(() => unlinkSync(temporary));
    },
  };
}

/** Makes the folder's published files survive a power cut. */
export const syncPlace = ({ folder }: FilePlace): void => fsyncSync(folder);

/** Opens a device or FIFO for writing. Waits for a FIFO's reader; with O_NONBLOCK, throws ENXIO if there is none. */
export const openPlacedNode = ({ node }: NodePlace, flags = 0): Fd =>
  openSync(fdPath(node), constants.O_WRONLY | constants.O_NOCTTY | flags);

/** Opens the device or FIFO of this name; undefined if a regular file may be written there. */
function openNode(
  folder: Fd,
  { name, isLinked }: { readonly name: string; readonly isLinked: boolean },
): Fd | undefined {
  const entry = entryOf(folder, name);
  const node = unlessMissing(() => openSync(entry, O_PATH | constants.O_NOFOLLOW));
  if (node === undefined) return undefined;
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

/** The descriptor that a path names, to be used directly: its file cannot always be opened by path, and its name must never be replaced. */
export function ownDescriptor(path: string): Fd | undefined {
  if (path === '/dev/stdout') return STDOUT;
  if (path === '/dev/stderr') return STDERR;
  const digits = /^\/(?:dev|proc\/self)\/fd\/(\d{1,7})$/.exec(path)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
