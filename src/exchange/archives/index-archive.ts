/** Lists the files of an archive, with their positions, without unpacking it. Writes nothing. */
import type { FileHandle } from 'node:fs/promises';
import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { type ArchivePolicy, LAYER_POLICY } from '../../archive/archive-policy.ts';
import { parseEntryPath } from '../../archive/entry-path.ts';
import { BLOCK_BYTES, parseTarHeader } from '../../archive/parse-tar-header.ts';
import type { TarEntry } from '../../archive/tar-entry.ts';
import { createTarParser } from '../../archive/tar-parser.ts';
import { readSpan } from '../file-pieces.ts';
import { toInvalid } from '../oci-image/oci-blobs.ts';

/** Position of a regular file in the archive, in bytes. */
export interface ArchiveSpan {
  readonly start: number;
  readonly size: number;
}

/** Enough for 256 layers with three files each, and more. */
const MAX_ENTRIES = 10_000;
const MAX_PATH_BYTES = 255;
/** Bound for all headers with their extensions: 3 KiB for each entry. Headers are read block by block; more would take minutes. */
const MAX_HEADER_BYTES = 32 * 1024 * 1024;
/** Names the reader in messages and error codes; this file decides which entries are allowed. */
export const ARCHIVE_POLICY: ArchivePolicy = {
  ...LAYER_POLICY,
  subject: 'archive',
  invalidCode: 'ERR_STACKSHIM_IMAGE_INVALID',
};
const LIMITS = { ...LAYER_LIMITS, bytes: MAX_HEADER_BYTES, pathBytes: MAX_PATH_BYTES };

/**
 * Lists the regular files of a tar by plain path. Ignores folders; a symbolic link to a file of the archive stands for that file. Refuses other
 * kinds of entries, names that lead outside, repeated names and truncated tars. Throws ERR_STACKSHIM_IMAGE_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE.
 */
export async function indexArchive(
  file: FileHandle,
  sizeBytes: number,
): Promise<ReadonlyMap<string, ArchiveSpan>> {
  const spans = new Map<string, ArchiveSpan>();
  // `docker save` writes a repeated layer as a link to the first copy.
  const links = new Map<string, string>();
  let entries = 0;
  let at = 0;
  const parser = createTarParser(ARCHIVE_POLICY, LIMITS, {
    entry(entry, headerSize) {
      // Readers differ in which of the two sizes they use.
      if (entry.size !== headerSize) throw toInvalid('read archive: an entry has two sizes');
      entries += 1;
      if (entries > MAX_ENTRIES) throw toInvalid(`read archive: more than ${MAX_ENTRIES} entries`);
      takeEntry(entry, at, spans, links);
    },
    data: () => undefined,
  });
  while (!parser.isComplete()) {
    if (at + BLOCK_BYTES > sizeBytes) throw toCutOff();
    const block = Buffer.alloc(BLOCK_BYTES);
    let filled = 0;
    for await (const piece of readSpan(file, { start: at, size: BLOCK_BYTES }, toCutOff)) {
      filled += piece.copy(block, filled);
    }
    if (at === 0 && typeof parseTarHeader(block) === 'string') {
      throw toInvalid('it is not a tar archive');
    }
    at += block.length;
    parser.push(block);
    at += parser.skipContent();
    if (at > sizeBytes) throw toCutOff();
  }
  resolveLinks(spans, links);
  return spans;
}

export const toCutOff = () => toInvalid('read archive: it is cut off');

function takeEntry(
  entry: TarEntry,
  start: number,
  spans: Map<string, ArchiveSpan>,
  links: Map<string, string>,
): void {
  const parsed = parseEntryPath(entry.path, LIMITS);
  const shown = JSON.stringify(entry.path.slice(0, 200));
  if (typeof parsed === 'string') throw toInvalid(`read archive entry ${shown}: ${parsed}`);
  const { path } = parsed;
  if (entry.kind === 'directory') return;
  if (spans.has(path) || links.has(path)) {
    throw toInvalid(`read archive entry ${shown}: comes twice`);
  }
  if (entry.kind === 'file') spans.set(path, { start, size: entry.size });
  else if (entry.kind === 'symlink') links.set(path, entry.linkTarget);
  else throw toInvalid(`read archive entry ${shown}: a ${entry.kind}`);
}

/** Resolves links by their text alone, without looking at the disk. */
function resolveLinks(spans: Map<string, ArchiveSpan>, links: ReadonlyMap<string, string>): void {
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

/** Returns the path that a relative link at `path` names; a path that no entry can have if the link leads outside. */
function joinPath(path: string, target: string): string {
  const parts = path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..' && parts.pop() === undefined) return '';
    if (part !== '..' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}
