/** Makes small tars in memory for tests. */
import { encodeTarEntry, TAR_TRAILER } from '../../../src/archive/encode-tar-entry.ts';
import { type EntryKind, NO_XATTRS, toByteString } from '../../../src/archive/tar-entry.ts';

export interface SmallTarEntry {
  readonly path: string;
  readonly kind?: Exclude<EntryKind, 'device'>;
  readonly content?: string | Uint8Array;
  readonly linkTarget?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since 1970. */
  readonly mtime?: number;
}

const DEFAULT_MTIME = 1_700_000_000;

/** The tar of these entries, in this order. */
export function makeTar(entries: readonly SmallTarEntry[]): Buffer {
  const pieces: Uint8Array[] = [];
  for (const entry of entries) {
    const kind = entry.kind ?? 'file';
    const content = Buffer.from(entry.content ?? '');
    pieces.push(
      ...encodeTarEntry({
        kind,
        path: toByteString(entry.path),
        mode: entry.mode ?? (kind === 'directory' ? 0o755 : 0o644),
        uid: entry.uid ?? 0,
        gid: entry.gid ?? 0,
        mtime: { seconds: entry.mtime ?? DEFAULT_MTIME, nanoseconds: 0 },
        size: kind === 'file' ? content.length : 0,
        linkTarget: toByteString(entry.linkTarget ?? ''),
        xattrs: NO_XATTRS,
      }),
    );
    if (kind === 'file') pieces.push(content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  return Buffer.concat([...pieces, TAR_TRAILER]);
}
