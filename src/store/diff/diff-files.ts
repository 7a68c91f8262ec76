/** Finds the files that differ between two trees, reading only the parts that can differ. Follows no links. Blocks. */
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import type { Image } from '../images/image.ts';

export interface FileChange {
  /** Absolute path in the image. */
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** The kind of the entry; for a removed entry, its former kind. */
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  /** Size of a file's content; 0 for entries other than files; null if the entry is absent. */
  readonly beforeBytes: number | null;
  readonly afterBytes: number | null;
}

interface TreesToDiff {
  readonly before: string;
  readonly after: string;
  /** Trees of the layers that only one side has. An entry in none of them is the same on both sides. */
  readonly layers: readonly string[];
}

export interface FileTotals {
  readonly files: number;
  /** The size of added and removed files; for changed files their growth, which may be negative. */
  readonly bytes: number;
}

export interface FileDiff {
  /** Sorted by path. At most 100,000 changes; `totals` counts all. */
  readonly files: readonly FileChange[];
  readonly totals: Readonly<Record<FileChange['change'], FileTotals>>;
  /** Whether `files` contains every change. */
  readonly complete: boolean;
}

/** Far more than any valid image has; guarantees that the comparison ends. */
const MAX_ENTRIES = 2_000_000;
const CHUNK_BYTES = 256 * 1024;
const MAX_LISTED = 100_000;

/** The layers of both images above their common beginning. */
export function notShared({ layers: one }: Image, { layers: other }: Image): Image['layers'] {
  const differs = one.findIndex((id, index) => id !== other[index]);
  const first = differs === -1 ? one.length : differs;
  return [...new Set([...one.slice(first), ...other.slice(first)])];
}

/** Compares two trees. Blocks. Throws ERR_STACKSHIM_LAYER_TOO_LARGE. */
export function collectFiles(trees: TreesToDiff): FileDiff {
  const files: FileChange[] = [];
  const totals = {
    added: { files: 0, bytes: 0 },
    removed: { files: 0, bytes: 0 },
    changed: { files: 0, bytes: 0 },
  };
  let complete = true;
  for (const change of diffTrees(trees)) {
    const total = totals[change.change];
    const [before, after] = [change.beforeBytes ?? 0, change.afterBytes ?? 0];
    total.files += 1;
    total.bytes += change.change === 'removed' ? before : after - before;
    if (files.length < MAX_LISTED) files.push(change);
    else complete = false;
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { files, totals, complete };
}

/** Yields each difference; a folder comes before its content. Throws ERR_STACKSHIM_LAYER_TOO_LARGE. */
function* diffTrees(trees: TreesToDiff): Generator<FileChange> {
  const open: Folder[] = [{ ...trees, path: '' }];
  let entries = 0;
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    for (const entry of compareFolder(folder)) {
      entries += 1;
      if (entries > MAX_ENTRIES) {
        const message = `compare images: more than ${MAX_ENTRIES} entries differ`;
        throw new StackshimError('ERR_STACKSHIM_LAYER_TOO_LARGE', message);
      }
      const change = toChange(folder, entry);
      if (change !== undefined) yield change;
      const below = descend(folder, entry);
      if (below !== undefined) open.push(below);
    }
  }
}

/** A folder, and the trees in which the path is a folder. Other trees are not read below it: there the path may be a link to anywhere. */
interface Folder {
  /** Latin-1: each character stands for one byte of a name. */
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly layers: readonly string[];
}

interface Entry {
  readonly path: string;
  readonly before: Stats | undefined;
  readonly after: Stats | undefined;
}

/** Yields the entries of a folder that may differ. */
function* compareFolder(folder: Folder): Generator<Entry> {
  const names = (root: string | undefined) =>
    new Set(root === undefined ? [] : listNames(`${root}${folder.path}/`));
  const [before, after] = [names(folder.before), names(folder.after)];
  const touched = new Set(folder.layers.flatMap((root) => [...names(root)]));
  for (const name of [...new Set([...before, ...after])].sort()) {
    if (before.has(name) && after.has(name) && !touched.has(name)) continue;
    const path = `${folder.path}/${name}`;
    yield {
      path,
      before: before.has(name) ? lstatSync(toBytes(`${folder.before}${path}`)) : undefined,
      after: after.has(name) ? lstatSync(toBytes(`${folder.after}${path}`)) : undefined,
    };
  }
}

function descend(folder: Folder, { path, before, after }: Entry): Folder | undefined {
  if (!before?.isDirectory() && !after?.isDirectory()) return undefined;
  return {
    path,
    before: before?.isDirectory() ? folder.before : undefined,
    after: after?.isDirectory() ? folder.after : undefined,
    layers: folder.layers.filter((root) =>
      lstatSync(toBytes(`${root}${path}`), { throwIfNoEntry: false })?.isDirectory(),
    ),
  };
}

function toChange(folder: Folder, { path, before, after }: Entry): FileChange | undefined {
  const present = after ?? before;
  if (present === undefined) return undefined;
  if (before !== undefined && after !== undefined) {
    const places = [folder.before, folder.after].map((root) => toBytes(`${root}${path}`));
    if (isSame(before, after, places as [Buffer, Buffer])) return undefined;
  }
  const gone = after === undefined ? 'removed' : 'changed';
  return {
    path: toBytes(path).toString('utf8'),
    change: before === undefined ? 'added' : gone,
    kind: kindOf(present),
    beforeBytes: before === undefined ? null : bytesOf(before),
    afterBytes: after === undefined ? null : bytesOf(after),
  };
}

function isSame(before: Stats, after: Stats, places: readonly [Buffer, Buffer]): boolean {
  const describe = ({ mode, uid, gid, rdev }: Stats) => `${mode} ${uid} ${gid} ${rdev}`;
  if (describe(before) !== describe(after)) return false;
  if (before.isSymbolicLink()) {
    const [one, other] = places.map((place) => readlinkSync(place, 'latin1'));
    return one === other;
  }
  if (!before.isFile()) return true;
  return before.size === after.size && hasSameContent(...places);
}

function hasSameContent(one: Buffer, other: Buffer): boolean {
  const files: number[] = [];
  try {
    for (const path of [one, other]) {
      files.push(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW));
    }
    const chunks = files.map(() => Buffer.alloc(CHUNK_BYTES)) as [Buffer, Buffer];
    for (;;) {
      const [left = 0, right = 0] = files.map((file, index) => readFull(file, chunks[index]));
      if (left !== right) return false;
      if (chunks[0].compare(chunks[1], 0, right, 0, left) !== 0) return false;
      if (left < CHUNK_BYTES) return true;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}

/** Fills the chunk, or reads to the end of the file. */
function readFull(file: number, chunk: Buffer | undefined): number {
  if (chunk === undefined) return 0;
  let done = 0;
  while (done < chunk.length) {
    const count = readSync(file, chunk, done, chunk.length - done, null);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function kindOf(stats: Stats): FileChange['kind'] {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}

const bytesOf = (stats: Stats) => (stats.isFile() ? stats.size : 0);
const toBytes = (path: string) => Buffer.from(path, 'latin1');

const listNames = (folder: string): string[] => readdirSync(toBytes(folder), 'latin1');
