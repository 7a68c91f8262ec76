/**
 * Puts entries into a folder. Every name is created beneath its open folder and never through a link. A regular file is replaced atomically, an
 * existing folder is filled, anything else stays as it is.
 */
import {
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  renameSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  write,
} from 'node:fs';
import type { ByteString } from '../../archive/tar-entry.ts';
import { errnoCodeOf, unlessFailed, unlessMissing } from '../../core/errors.ts';
import type { UserIds } from '../../core/mount.ts';
import { randomName, writeNow } from '../../sys/files.ts';
import type { Fd } from '../../sys/system.ts';
import {
  chownFd,
  closeFd,
  entryBytes,
  linkFd,
  NEW_FILE,
  openBeneath,
  openEntry,
  READ_FOLDER,
  readEntries,
} from '../../sys/tree-calls.ts';
import { type ContentReader, isSparse } from './content.ts';
import { DestinationFailed, LeftOut } from './left-out.ts';
import {
  type FolderStats,
  inodeKey,
  keptMode,
  keptTime,
  type SourceFile,
  type SourceLink,
  type TreeTarget,
} from './tree-target.ts';

export interface TargetFolder {
  readonly fd: Fd;
  /** Whether this target created the folder, which then gets the mode and time of its source. */
  readonly isNew: boolean;
}

/** Most files with several names that stay open to get their other names; beyond this number, a file is copied once for each name. */
const OPEN_FILES = 256;
/** Larger pieces are written on the thread pool. */
const SMALL_BYTES = 256 * 1024;

export interface FolderTargetOptions {
  /** Reads the files that {@link FolderTarget.addFile} gets. */
  readonly content: ContentReader;
  /** The owner of new entries; undefined: the user of this process. */
  readonly owner: UserIds | undefined;
  /** Which regular files are replaced: all, or only those of this user and of the owner of their folder. */
  readonly replaces: 'own' | 'all';
}

/** A new file without content. */
export interface NewFile {
  readonly fd: Fd;
  /** Gives the file its owner, mode, time and name. */
  publish(stats: FolderStats): void;
  /** Removes the file, unless it was published. */
  discard(): void;
}

export class FolderTarget implements TreeTarget<TargetFolder> {
  readonly #options: FolderTargetOptions;
  readonly #named = new Map<string, Fd>();

  constructor(options: FolderTargetOptions) {
    this.#options = options;
  }

  openFolder({ fd: parent }: TargetFolder, name: ByteString): TargetFolder {
    return atDestination(() => {
      const make = () => {
        mkdirSync(entryBytes(parent, name), { mode: 0o700 });
        return true;
      };
      const isMade = unlessFailed(make, ['EEXIST']) ?? false;
      const fd = openBeneath(parent, name, READ_FOLDER);
      return { fd, isNew: isMade && isEmpty(fd) };
    });
  }

  closeFolder({ fd, isNew }: TargetFolder, stats: FolderStats): void {
    try {
      if (isNew) atDestination(() => this.#finish(fd, stats));
    } finally {
      closeFd(fd);
    }
  }

  async addFile(parent: TargetFolder, name: ByteString, file: SourceFile): Promise<void> {
    const { stats } = file;
    const key = inodeKey(stats);
    const known = key === undefined ? undefined : this.#named.get(key);
    if (known !== undefined) {
      this.addName(parent, name, known);
      return;
    }
    const made = this.beginFile(parent, name);
    let isKept = false;
    try {
      await this.#fill(made.fd, file);
      made.publish(stats);
      isKept = key !== undefined && this.#named.size < OPEN_FILES;
      if (isKept) this.#named.set(key ?? '', made.fd);
    } finally {
      made.discard();
      if (!isKept) closeFd(made.fd);
    }
  }

  /** Creates an empty file. The caller closes it. */
  beginFile({ fd: parent }: TargetFolder, name: ByteString): NewFile {
    return atDestination(() => {
      const at = this.#findPlace(parent, name, (as) => openBeneath(parent, as, NEW_FILE, 0o600));
      let isOver = false;
      return {
        fd: at.made,
        publish: (stats) => {
          atDestination(() => {
            this.#finish(at.made, stats);
            at.publish();
          });
          isOver = true;
        },
        discard() {
          if (!isOver) unlessMissing(() => unlinkSync(entryBytes(parent, at.name)));
          isOver = true;
        },
      };
    });
  }

  /** Gives an open file one more name. */
  addName({ fd: parent }: TargetFolder, name: ByteString, file: Fd): void {
    atDestination(() => {
      this.#findPlace(parent, name, (as) => linkFd(file, parent, as)).publish();
    });
  }

  addLink({ fd: parent }: TargetFolder, name: ByteString, { target }: Pick<SourceLink, 'target'>) {
    const { owner } = this.#options;
    atDestination(() => {
      const path = entryBytes(parent, name);
      symlinkSync(Buffer.from(target, 'latin1'), path);
      if (owner === undefined) return;
      // The folder's owner may have put something else in the place of the link.
      const link = openEntry(parent, name);
      try {
        if (fstatSync(link).isSymbolicLink()) chownFd(link, owner);
      } finally {
        closeFd(link);
      }
    });
  }

  /** Closes the files that were kept open. Add nothing after that. */
  close(): void {
    for (const fd of this.#named.values()) closeFd(fd);
    this.#named.clear();
  }

  async #fill(fd: Fd, file: SourceFile): Promise<void> {
    await this.#options.content.read(file, (bytes, position) => {
      if (bytes.length <= SMALL_BYTES) return atDestination(() => writeNow(fd, bytes, position));
      return writeAside(fd, bytes, position);
    });
    if (isSparse(file.stats)) atDestination(() => ftruncateSync(fd, file.stats.size));
  }

  #finish(fd: Fd, stats: FolderStats): void {
    const { owner } = this.#options;
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, keptMode(stats));
    const time = keptTime(stats);
    futimesSync(fd, time, time);
  }

  /** Calls `create` with the name or, to replace a regular file, with a temporary name that is renamed when the new file is complete. */
  #findPlace<T>(parent: Fd, name: ByteString, create: (name: ByteString) => T) {
    try {
      return { made: create(name), name, publish: () => undefined };
    } catch (error) {
      if (errnoCodeOf(error) !== 'EEXIST') throw error;
    }
    const before = lstatSync(entryBytes(parent, name), { throwIfNoEntry: false });
    if (before !== undefined && !this.#mayReplace(before, fstatSync(parent))) {
      throw new LeftOut('destination_exists');
    }
    const temporary = `.${randomName()}.tmp`;
    return {
      made: create(temporary),
      name: temporary,
      publish: () => renameSync(entryBytes(parent, temporary), entryBytes(parent, name)),
    };
  }

  #mayReplace(file: Stats, folder: Stats): boolean {
    if (!file.isFile()) return false;
    const owners = [process.geteuid?.(), folder.uid];
    return this.#options.replaces === 'all' || owners.includes(file.uid);
  }
}

/** Whether an open folder may be the one just created. The owner above may have swapped in another folder of root, whose owner and mode must stay. */
function isEmpty(folder: Fd): boolean {
  try {
    const [first] = readEntries(folder);
    return first === undefined;
  } catch (error) {
    closeFd(folder);
    throw error;
  }
}

async function writeAside(fd: Fd, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += await new Promise<number>((resolve, reject) => {
      write(fd, bytes, done, bytes.length - done, position + done, (error, count) => {
        if (error === null) resolve(count);
        else reject(toDestinationError(error));
      });
    });
  }
}

/** Runs `call`, which works on the destination; its errors become `LeftOut` or `DestinationFailed`. */
export function atDestination<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toDestinationError(error);
  }
}

const IN_THE_WAY = new Set(['EEXIST', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EXDEV', 'ENOTEMPTY']);
const IMPOSSIBLE_ENTRY = new Set(['ENAMETOOLONG', 'EINVAL', 'EILSEQ', 'EFBIG', 'EMLINK']);

/** Turns an error of the destination into `LeftOut`, for the entry, or `DestinationFailed`, for all that follow. */
function toDestinationError(error: unknown): unknown {
  const code = errnoCodeOf(error);
  if (code === undefined) return error;
  if (IN_THE_WAY.has(code)) return new LeftOut('destination_exists');
  if (IMPOSSIBLE_ENTRY.has(code)) return new LeftOut('destination_refuses');
  return new DestinationFailed(code, { cause: error });
}
