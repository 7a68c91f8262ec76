/** The target of a walk: a folder or a tar. */
import type { Stats } from 'node:fs';
import type { ByteString } from '../../archive/tar-entry.ts';
import type { Fd } from '../../sys/system.ts';

/** The attributes that a new folder gets from its source. */
export type FolderStats = Pick<Stats, 'mode' | 'uid' | 'gid' | 'mtimeMs'>;

/** A regular file, open for reading. */
export interface SourceFile {
  readonly fd: Fd;
  readonly stats: Stats;
}

export interface SourceLink {
  readonly stats: Stats;
  readonly target: ByteString;
}

/**
 * Gets entries in order, folders before their content. `F` is a folder of the target. Throws `LeftOut` for an entry that it cannot take, and
 * `DestinationFailed` when it can take nothing more.
 */
export interface TreeTarget<F> {
  /** Creates a folder, or uses an existing one as it is. The caller closes it with `closeFolder`. */
  openFolder(parent: F, name: ByteString, stats: FolderStats): F | Promise<F>;
  /** Closes a folder of `openFolder`. A new folder gets its mode and time now. */
  closeFolder(folder: F, stats: FolderStats): void;
  addFile(parent: F, name: ByteString, file: SourceFile): Promise<void>;
  addLink(parent: F, name: ByteString, link: SourceLink): void | Promise<void>;
}

/** The key by which a file with several names is recognized; undefined for a file with one name. */
export const inodeKey = ({ nlink, dev, ino }: Stats): string | undefined =>
  nlink > 1 ? `${dev}:${ino}` : undefined;

/** The permissions that are kept: neither setuid nor setgid, nor the sticky bit, which has nothing to protect. */
export const keptMode = ({ mode }: Pick<Stats, 'mode'>): number => mode & 0o777;

/** The latest time that every filesystem and tar can store, in seconds since 1970. */
const LATEST = 0x1_ffff_ffff;

/** Modification time in seconds since 1970, within what can be stored: a task may have set any time. */
export const keptTime = ({ mtimeMs }: Pick<Stats, 'mtimeMs'>): number =>
  Math.min(Math.max(0, Number.isFinite(mtimeMs) ? mtimeMs / 1000 : 0), LATEST);
