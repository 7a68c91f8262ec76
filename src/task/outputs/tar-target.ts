/** Writes entries as one tar. Sparse files have the format of GNU tar (PAX 1.0), so that their holes take no space. */
import { encodePaxRecord, encodeTarEntry, TAR_TRAILER } from '../../archive/encode-tar-entry.ts';
import { paddingOf } from '../../archive/parse-tar-header.ts';
import { type ByteString, NO_XATTRS, type TarEntry } from '../../archive/tar-entry.ts';
import { type ContentReader, type Extent, extentsOf, isSparse } from './content.ts';
import { DestinationFailed, LeftOut, Stopped } from './left-out.ts';
import {
  type FolderStats,
  inodeKey,
  keptMode,
  keptTime,
  type SourceFile,
  type SourceLink,
  type TreeTarget,
} from './tree-target.ts';

/** Path of a folder in the tar, with a slash at its end; empty for the root. */
export type TarFolder = ByteString;

export interface TarOptions {
  readonly content: ContentReader;
  /** Takes the bytes in order; a rejection ends the tar. */
  readonly write: (bytes: Uint8Array) => void | Promise<void>;
  /** Host id of the task's id 0. */
  readonly idBase: number;
}

const FLUSH_BYTES = 256 * 1024;
/** Most parts of a sparse file: readers do not accept a longer list. */
const MAX_EXTENTS = 10_000;
/** Most characters of remembered paths of files with several names; later such files are written once for each name. */
const MOST_NAMED_CHARS = 16 * 1024 * 1024;
const LAST_ID = 65_535;
/** Owner of files whose owner is not an id of the task. */
const NOBODY = 65_534;

export class TarTarget implements TreeTarget<TarFolder> {
  readonly #options: TarOptions;
  readonly #named = new Map<string, ByteString>();
  #namedChars = 0;
  #waiting: Uint8Array[] = [];
  #bytes = 0;

  constructor(options: TarOptions) {
    this.#options = options;
  }

  async openFolder(parent: TarFolder, name: ByteString, stats: FolderStats): Promise<TarFolder> {
    const path = `${parent}${name}`;
    await this.#put(encodeTarEntry(this.#entry('directory', path, stats)));
    return `${path}/`;
  }

  closeFolder(): void {
    // A tar does not mark the end of a folder.
  }

  async addFile(parent: TarFolder, name: ByteString, file: SourceFile): Promise<void> {
    const path = `${parent}${name}`;
    const key = inodeKey(file.stats);
    const known = key === undefined ? undefined : this.#named.get(key);
    if (known !== undefined) {
      const entry = this.#entry('hardlink', path, file.stats);
      await this.#put(encodeTarEntry({ ...entry, linkTarget: known }));
      return;
    }
    const { stats } = file;
    const extents = listExtents(file);
    if (extents.length === 1 && extents[0]?.from === 0 && extents[0].to === stats.size) {
      this.#options.content.require(stats.size);
      await this.#put(encodeTarEntry({ ...this.#entry('file', path, stats), size: stats.size }));
    } else await this.#beginSparse(path, file, extents);
    await this.#putContent(file, extents);
    if (key === undefined) return;
    this.#namedChars += path.length;
    if (this.#namedChars <= MOST_NAMED_CHARS) this.#named.set(key, path);
  }

  async addLink(parent: TarFolder, name: ByteString, { stats, target }: SourceLink): Promise<void> {
    const entry = this.#entry('symlink', `${parent}${name}`, stats);
    await this.#put(encodeTarEntry({ ...entry, linkTarget: target }));
  }

  async end(): Promise<void> {
    await this.#put([TAR_TRAILER]);
    await this.#flush();
  }

  async #beginSparse(
    path: ByteString,
    file: SourceFile,
    extents: readonly Extent[],
  ): Promise<void> {
    const data = extents.reduce((sum, { from, to }) => sum + to - from, 0);
    this.#options.content.require(data);
    const { size } = file.stats;
    // Readers take the size from the last part, so a hole at the end needs an empty part after it.
    const listed = [...extents, { from: size, to: size }];
    const map = [listed.length, ...listed.flatMap(({ from, to }) => [from, to - from])];
    const text = Buffer.from(`${map.join('\n')}\n`);
    const head = Buffer.concat([text, Buffer.alloc(paddingOf(text.length))]);
    const slash = path.lastIndexOf('/') + 1;
    const shown = `${path.slice(0, slash)}GNUSparseFile.0/${path.slice(slash)}`;
    const records = [
      encodePaxRecord('GNU.sparse.major', '1'),
      encodePaxRecord('GNU.sparse.minor', '0'),
      encodePaxRecord('GNU.sparse.name', path),
      encodePaxRecord('GNU.sparse.realsize', String(size)),
    ];
    const entry = { ...this.#entry('file', shown, file.stats), size: head.length + data };
    await this.#put([...encodeTarEntry(entry, records), head]);
  }

  /** Writes as many bytes as the header says, even if the file has fewer by now. */
  async #putContent(file: SourceFile, extents: readonly Extent[]): Promise<void> {
    const promised = extents.reduce((sum, { from, to }) => sum + to - from, 0);
    let written = 0;
    try {
      await this.#options.content.readParts(file.fd, extents, (bytes) => {
        written += bytes.length;
        return this.#put([Uint8Array.from(bytes)]);
      });
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
      await this.#putZeros(promised - written + paddingOf(promised));
      throw error;
    }
    await this.#putZeros(promised - written + paddingOf(promised));
  }

  async #putZeros(count: number): Promise<void> {
    for (let left = count; left > 0; left -= FLUSH_BYTES) {
      await this.#put([Buffer.alloc(Math.min(left, FLUSH_BYTES))]);
    }
  }

  #entry(kind: TarEntry['kind'], path: ByteString, stats: FolderStats): TarEntry {
    const { idBase } = this.#options;
    const toId = (id: number) => {
      const own = id - idBase;
      return own >= 0 && own <= LAST_ID ? own : NOBODY;
    };
    return {
      kind,
      path,
      mode: kind === 'symlink' ? 0o777 : keptMode(stats),
      uid: toId(stats.uid),
      gid: toId(stats.gid),
      // Whole seconds: a fraction would need another header for each entry.
      mtime: { seconds: Math.floor(keptTime(stats)), nanoseconds: 0 },
      size: 0,
      linkTarget: '',
      xattrs: NO_XATTRS,
    };
  }

  #put(parts: readonly Uint8Array[]): void | Promise<void> {
    for (const part of parts) {
      this.#waiting.push(part);
      this.#bytes += part.length;
    }
    if (this.#bytes >= FLUSH_BYTES) return this.#flush();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
    try {
      await this.#options.write(bytes);
    } catch (error) {
      throw error instanceof Stopped ? error : new DestinationFailed('write tar', { cause: error });
    }
  }
}

/** The parts of a file that have data. A file that takes less than its size because the filesystem compresses it has no holes. */
function listExtents(file: SourceFile): readonly Extent[] {
  const { size } = file.stats;
  if (!isSparse(file.stats)) return [{ from: 0, to: size }];
  const extents: Extent[] = [];
  for (const extent of extentsOf(file)) {
    if (extents.push(extent) > MAX_EXTENTS) throw new LeftOut('unreadable');
  }
  return extents;
}
