/** Lists the files of an archive without unpacking it: names and positions. Writes nothing. */
import type { FileHandle } from 'node:fs/promises';
import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { parseEntryPath } from '../../archive/entry-path.ts';
import { parsePaxRecords } from '../../archive/parse-pax-records.ts';
import {
  BLOCK_BYTES,
  paddingOf,
  parseTarHeader,
  type TarHeader,
} from '../../archive/parse-tar-header.ts';
import { type Extensions, resolveTarEntry } from '../../archive/resolve-tar-entry.ts';
import type { TarEntry } from '../../archive/tar-entry.ts';
import { toInvalid } from '../oci-image/oci-blobs.ts';

/** The position of a regular file in the archive, in bytes. */
export interface ArchiveSpan {
  readonly start: number;
  readonly size: number;
}

/** Enough for 256 layers with three files each, and more. */
const MAX_ENTRIES = 10_000;
const MAX_PATH_BYTES = 255;
const LIMITS = { ...LAYER_LIMITS, pathBytes: MAX_PATH_BYTES };

interface Indexing {
  readonly file: FileHandle;
  readonly sizeBytes: number;
  readonly spans: Map<string, ArchiveSpan>;
  /** `docker save` writes a repeated layer as a link to the first one. */
  readonly links: Map<string, string>;
  extensions: Extensions;
}

/**
 * The regular files of a tar by plain path. Folders are ignored; a symbolic link to a file of the archive stands for that file. Refuses
 * other entries, names that lead outside, repeated names, and a truncated tar. Throws ERR_STACKSHIM_IMAGE_INVALID.
 */
export async function indexArchive(
  file: FileHandle,
  sizeBytes: number,
): Promise<ReadonlyMap<string, ArchiveSpan>> {
  const indexing: Indexing = {
    file,
    sizeBytes,
    spans: new Map(),
    links: new Map(),
    extensions: { pax: undefined, longPath: undefined, longLink: undefined },
  };
  let at = 0;
  for (let entries = 0; ; entries += 1) {
    if (entries > MAX_ENTRIES) throw toInvalid(`read archive: more than ${MAX_ENTRIES} entries`);
    const header = parseTarHeader(await readAt(indexing, at, BLOCK_BYTES));
    if (header === undefined) break;
    if (typeof header === 'string') {
      throw toInvalid(at === 0 ? 'it is not a tar archive' : `read archive: ${header}`);
    }
    at = await takeHeader(indexing, header, at + BLOCK_BYTES);
  }
  resolveLinks(indexing);
  return indexing.spans;
}

/** Returns the position of the next header. */
async function takeHeader(indexing: Indexing, header: TarHeader, start: number): Promise<number> {
  const { size } = header;
  if (size > indexing.sizeBytes - start) throw toInvalid('read archive: it is cut off');
  const next = start + size + paddingOf(size);
  if (['x', 'g', 'L', 'K'].includes(header.typeflag)) {
    await takeExtension(indexing, header, start);
    return next;
  }
  const entry = resolveTarEntry(header, indexing.extensions);
  indexing.extensions = { pax: undefined, longPath: undefined, longLink: undefined };
  if (typeof entry === 'string') throw toInvalid(`read archive: ${entry}`);
  // If the PAX size differs from the header's, readers disagree about which one counts.
  if (entry.size !== size) throw toInvalid('read archive: an entry has two sizes');
  takeEntry(indexing, entry, start);
  return next;
}

async function takeExtension(indexing: Indexing, header: TarHeader, start: number): Promise<void> {
  const { typeflag, size } = header;
  if (size === 0 || size > LIMITS.headerBytes) {
    throw toInvalid(`read archive: extension header of ${size} bytes`);
  }
  const body = await readAt(indexing, start, size);
  if (typeflag === 'L' || typeflag === 'K') {
    const end = body.indexOf(0);
    const name = body.toString('latin1', 0, end === -1 ? size : end);
    indexing.extensions[typeflag === 'L' ? 'longPath' : 'longLink'] = name;
    return;
  }
  const records = parsePaxRecords(body);
  if (typeof records === 'string') throw toInvalid(`read archive: ${records}`);
  if (typeflag === 'x') indexing.extensions.pax = records;
  else if ([...records.keys()].some((key) => key !== 'comment')) {
    throw toInvalid('read archive: it has global PAX records');
  }
}

function takeEntry({ spans, links }: Indexing, entry: TarEntry, start: number): void {
  const parsed = parseEntryPath(entry.path, LIMITS);
  const shown = JSON.stringify(entry.path.slice(0, 200));
  if (typeof parsed === 'string') throw toInvalid(`read archive entry ${shown}: ${parsed}`);
  const { path } = parsed;
  if (entry.kind === 'directory') return;
  if (spans.has(path) || links.has(path))
    throw toInvalid(`read archive entry ${shown}: comes twice`);
  if (entry.kind === 'file') spans.set(path, { start, size: entry.size });
  else if (entry.kind === 'symlink') links.set(path, entry.linkTarget);
  else throw toInvalid(`read archive entry ${shown}: a ${entry.kind}`);
}

/** Resolves links by their text alone: nothing is looked up on the disk. */
function resolveLinks({ spans, links }: Indexing): void {
  for (const [path, target] of links) {
    const span = spans.get(joinPath(path, target));
    if (span === undefined) {
      const shown = JSON.stringify(target.slice(0, 200));
      throw toInvalid(
        `read archive entry ${JSON.stringify(path)}: links to ${shown}, which is not a file of the archive`,
      );
    }
    spans.set(path, span);
  }
}

/** The path that a relative link at `path` names; a path that no entry can have if the link leads outside. */
function joinPath(path: string, target: string): string {
  const parts = path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..' && parts.pop() === undefined) return '';
    if (part !== '..' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

async function readAt({ file, sizeBytes }: Indexing, at: number, length: number): Promise<Buffer> {
  if (at + length > sizeBytes) throw toInvalid('read archive: it is cut off');
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, at + filled);
    if (bytesRead === 0) throw toInvalid('read archive: it is cut off');
    filled += bytesRead;
  }
  return bytes;
}
