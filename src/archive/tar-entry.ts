/** One entry of an archive, independent of the format. */

/** Bytes as Latin-1 characters: names need not be UTF-8, and must be written exactly as read. */
export type ByteString = string;

export type EntryKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'device' | 'fifo';

/** A time since 1970. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface TarEntry {
  readonly kind: EntryKind;
  readonly path: ByteString;
  /** Permission bits, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  /** Bytes of content that follow; 0 for all but files. */
  readonly size: number;
  /** A symbolic or hard link's target; empty for other kinds. */
  readonly linkTarget: ByteString;
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
  /** True for a character device 0:0, by which overlayfs marks a deletion of what is below. */
  readonly isZeroDevice?: boolean;
  /** True if a PAX record has an access control list that no attribute has. */
  readonly hasTextAcl?: boolean;
}

/** A consumer of entries: receives an entry, then exactly `size` bytes of its content. */
export interface EntrySink {
  entry(entry: TarEntry): void;
  data(chunk: Buffer): void;
}

export const NO_XATTRS: ReadonlyMap<ByteString, Buffer> = new Map();

/** An empty file of root, from 1970: the basis of entries added to an archive. */
export const EMPTY_FILE: TarEntry = {
  ...{ kind: 'file', path: '', mode: 0o644, uid: 0, gid: 0, size: 0, linkTarget: '' },
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: NO_XATTRS,
};

/** The text's UTF-8 bytes. */
export const toByteString = (text: string): ByteString =>
  Buffer.from(text, 'utf8').toString('latin1');
