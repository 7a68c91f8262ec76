/** Turns an archive into a clean tar for `mkfs.erofs`: passes on what a policy allows, and refuses or leaves out the rest. */
import { toArchiveTooLarge, toInvalidArchive } from './archive-policy.ts';
import { checkEntry, type EntryContext } from './check-entry.ts';
import { encodeTarEntry, TAR_TRAILER } from './encode-tar-entry.ts';
import {
  parseEntryPath,
  parseWhiteout,
  toOpaquePath,
  toWhiteoutPath,
  type WhiteoutMeaning,
} from './entry-path.ts';
import { EntryTree } from './entry-tree.ts';
import { paddingOf } from './parse-tar-header.ts';
import { type ByteString, EMPTY_FILE, type EntrySink, type TarEntry } from './tar-entry.ts';

/** Counts of the passed-on content. */
export interface CleanedArchive {
  /** Entries of the clean tar, without folders that were only implied. */
  readonly entries: number;
  /** Sum over all files. */
  readonly bytes: number;
  readonly droppedDevices: number;
  /** True if the archive hides everything in the layers below; no file inside can express that. */
  readonly opaqueRoot: boolean;
}

export interface ArchiveCleaner extends EntrySink {
  /** Ends the input, after which `take` returns the rest of the clean tar. */
  end(): void;
  /** The bytes that are ready, in one buffer; undefined if there are none. */
  take(): Buffer | undefined;
  /** Number of bytes that are ready. */
  readyBytes(): number;
  report(): CleanedArchive;
}

export type CleanerOptions = Omit<EntryContext, 'tree'>;

type Cleaning = ReturnType<typeof startCleaning>;

function startCleaning(options: CleanerOptions) {
  const ready: Buffer[] = [];
  return {
    ...options,
    tree: new EntryTree(),
    /** Whiteouts and opaque folders in order, kept because their meaning depends on later entries. */
    deletions: new Map<ByteString, 'whiteout' | 'opaque'>(),
    ready,
    readyBytes: 0,
    /** Remaining content of the latest entry, and whether to pass it on. */
    contentLeft: 0,
    contentKept: false,
    contentPadding: 0,
    seen: 0,
    counts: { entries: 0, bytes: 0, droppedDevices: 0, opaqueRoot: false },
  };
}

const FOLDER: TarEntry = { ...EMPTY_FILE, kind: 'directory', mode: 0o755 };

/** Keeps the order of entries, but moves whiteouts to the end. Writes implied folders with mode 0755 and owner 0:0: `mkfs.erofs` need not guess. */
export function createArchiveCleaner(options: CleanerOptions): ArchiveCleaner {
  const cleaning = startCleaning(options);
  encode(cleaning, FOLDER);
  return {
    entry: (entry) => takeEntry(cleaning, entry),
    data: (chunk) => takeData(cleaning, chunk),
    end() {
      if (cleaning.contentLeft > 0) throw new Error('the archive ended before its last content');
      for (const [path, deletion] of cleaning.deletions) writeDeletion(cleaning, path, deletion);
      push(cleaning, TAR_TRAILER);
    },
    take: () => {
      if (cleaning.ready.length === 0) return undefined;
      const bytes = Buffer.concat(cleaning.ready);
      cleaning.ready.length = 0;
      cleaning.readyBytes = 0;
      return bytes;
    },
    readyBytes: () => cleaning.readyBytes,
    report: () => ({ ...cleaning.counts }),
  };
}

function takeEntry(cleaning: Cleaning, entry: TarEntry): void {
  const { policy, limits } = cleaning;
  if (cleaning.contentLeft > 0) throw new Error('an entry came before the content of the last');
  countEntry(cleaning);
  if (entry.size > limits.bytes - cleaning.counts.bytes) {
    throw toArchiveTooLarge(policy, 'bytes', limits.bytes);
  }
  cleaning.counts.bytes += entry.size;
  cleaning.contentLeft = entry.size;
  cleaning.contentKept = false;
  cleaning.contentPadding = paddingOf(entry.size);

  const parsed = parseEntryPath(entry.path, limits, policy.absoluteNames);
  if (typeof parsed === 'string') throw toInvalidArchive(policy, parsed, entry.path);
  const { path } = parsed;
  if (policy.leaveOutNames.size > 0 && path.split('/').some((p) => policy.leaveOutNames.has(p))) {
    return;
  }
  const meaning = parseWhiteout(path);
  if (meaning.kind === 'none') takePlain(cleaning, { ...entry, path });
  else takeWhiteout(cleaning, entry, meaning);
}

function countEntry(cleaning: Cleaning): void {
  const { policy, limits } = cleaning;
  cleaning.seen += 1;
  if (cleaning.seen > limits.entries) throw toArchiveTooLarge(policy, 'entries', limits.entries);
}

function takePlain(cleaning: Cleaning, entry: TarEntry): void {
  const { policy } = cleaning;
  const isDevice = entry.kind === 'device' && policy.devices === 'drop';
  const isLeftover =
    entry.kind === 'file' && entry.size === 0 && policy.leaveOutEmptyFiles.has(entry.path);
  if (isDevice) cleaning.counts.droppedDevices += 1;
  const checked = isDevice || isLeftover ? undefined : checkEntry(entry, cleaning);
  if (checked === undefined) dropEntry(cleaning, entry.path);
  else writeEntry(cleaning, checked);
}

function takeWhiteout(cleaning: Cleaning, entry: TarEntry, meaning: WhiteoutMeaning): void {
  const { policy } = cleaning;
  if (!policy.whiteouts) throw toInvalidArchive(policy, 'name starts with ".wh."', entry.path);
  if (meaning.kind === 'none' || meaning.kind === 'odd') {
    throw toInvalidArchive(policy, 'malformed name of a whiteout', entry.path);
  }
  if (entry.kind !== 'file' || entry.size > 0) {
    throw toInvalidArchive(policy, 'whiteout is not an empty file', entry.path);
  }
  if (meaning.path === '') cleaning.counts.opaqueRoot = true;
  else if (cleaning.deletions.get(meaning.path) !== 'opaque') {
    cleaning.deletions.set(meaning.path, meaning.kind);
  }
}

/** Remembers the path, because a hard link to it must be left out, too. */
function dropEntry(cleaning: Cleaning, path: ByteString): void {
  const taken = cleaning.tree.kindAt(path);
  if (taken !== undefined && taken !== 'dropped') {
    throw toInvalidArchive(cleaning.policy, `exists already as a ${taken}`, path);
  }
  if (cleaning.tree.blockerOf(path) !== undefined) {
    throw toInvalidArchive(cleaning.policy, 'lies below something that is not a folder', path);
  }
  writeParents(cleaning, path);
  cleaning.tree.add(path, 'dropped');
  checkLookups(cleaning);
}

function writeEntry(cleaning: Cleaning, entry: TarEntry): void {
  if (entry.path !== '') {
    writeParents(cleaning, entry.path);
    cleaning.tree.add(entry.path, entry.kind);
    if (entry.kind === 'hardlink') cleaning.tree.lookUp(entry.linkTarget);
    checkLookups(cleaning);
  }
  if (entry.kind === 'directory' && entry.xattrs.size > 0) {
    cleaning.tree.markAttributed(entry.path);
  }
  cleaning.counts.entries += 1;
  cleaning.contentKept = true;
  encode(cleaning, entry);
}

function checkLookups({ tree, policy, limits }: Cleaning): void {
  if (tree.lookupSteps <= limits.lookupSteps) return;
  throw toArchiveTooLarge(policy, 'steps to look its names up', limits.lookupSteps);
}

function writeParents(cleaning: Cleaning, path: ByteString): void {
  for (const parent of cleaning.tree.missingParents(path)) {
    countEntry(cleaning);
    cleaning.tree.add(parent, 'directory');
    encode(cleaning, { ...FOLDER, path: parent });
  }
}

function encode(cleaning: Cleaning, entry: TarEntry): void {
  for (const piece of encodeTarEntry(entry)) push(cleaning, piece);
}

function push(cleaning: Cleaning, bytes: Buffer): void {
  cleaning.ready.push(bytes);
  cleaning.readyBytes += bytes.length;
}

function takeData(cleaning: Cleaning, chunk: Buffer): void {
  if (chunk.length > cleaning.contentLeft) throw new Error('more content came than was announced');
  cleaning.contentLeft -= chunk.length;
  if (!cleaning.contentKept) return;
  push(cleaning, chunk);
  if (cleaning.contentLeft === 0 && cleaning.contentPadding > 0) {
    push(cleaning, Buffer.alloc(cleaning.contentPadding));
  }
}

/** Writes a whiteout or opaque marker for the layers below, never its own: a file hides what is below anyway, a folder only if it is opaque. */
function writeDeletion(
  cleaning: Cleaning,
  path: ByteString,
  deletion: 'whiteout' | 'opaque',
): void {
  const { tree, policy } = cleaning;
  const kind = tree.kindAt(path);
  const blocker = tree.blockerOf(path);
  if (blocker !== undefined) {
    throw toInvalidArchive(policy, 'whiteout below something that is not a folder', path);
  }
  const isThere = kind !== undefined && kind !== 'dropped';
  if (isThere && kind !== 'directory') {
    if (deletion === 'whiteout') return;
    throw toInvalidArchive(policy, 'opaque marker in something that is not a folder', path);
  }
  const isOpaque = deletion === 'opaque' || kind === 'directory';
  const marker = isOpaque ? toOpaquePath(path) : toWhiteoutPath(path);
  writeParents(cleaning, isOpaque ? marker : path);
  if (!isOpaque) tree.add(path, 'dropped');
  checkLookups(cleaning);
  cleaning.counts.entries += 1;
  encode(cleaning, { ...FOLDER, kind: 'file', path: marker, mode: 0 });
}
