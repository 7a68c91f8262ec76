/** Finds the entries of a task's trees that a source names: one entry, or those that match a pattern. */
import { lstatSync } from 'node:fs';
import { posix } from 'node:path';
import { type ByteString, toByteString } from '../../archive/tar-entry.ts';
import { unlessFailed } from '../../core/errors.ts';
import type { Fd } from '../../sys/system.ts';
import {
  closeFd,
  type EntryKind,
  entryBytes,
  openBeneath,
  openFolderInRoot,
  READ_FOLDER,
  readEntries,
} from '../../sys/tree-calls.ts';
import { isPatternName, toMatcher } from './match-name.ts';
import type { Pace } from './pace.ts';
import { toKind } from './walk-tree.ts';

export interface SourcePattern {
  /** The path from the root of the task, or of the tree; empty for the root itself. */
  readonly names: readonly ByteString[];
  /** `SRC/.`: what is in the folder, without the folder. */
  readonly isContent: boolean;
  readonly isPattern: boolean;
}

/** Parses a source, which may be a pattern. Relative sources begin at `workdir`. */
export function parseSource(source: string, workdir: string): SourcePattern {
  const path = parsePath(source, workdir);
  return { ...path, isPattern: path.names.some(isPatternName) };
}

/** Like `parseSource`, for a source that is one path, whatever characters it has. */
export function parsePath(source: string, workdir: string): SourcePattern {
  const path = posix.resolve('/', workdir, source);
  const names = toByteString(path)
    .split('/')
    .filter((name) => name !== '');
  const isContent = names.length === 0 || /(?:^|\/)\.\/?$/.test(source);
  return { names, isContent, isPattern: false };
}

export interface FoundSource {
  /** Open until the next source is requested. */
  readonly folder: Fd;
  readonly name: ByteString;
  readonly kind: EntryKind;
  /** The path from `root`, with a leading slash. */
  readonly path: ByteString;
}

export interface FindOptions {
  readonly pace: Pace;
  /** A folder with more matches than this is not read to its end; the rest is not found. */
  readonly most: number;
}

const ABSENT = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'EACCES', 'ENAMETOOLONG', 'EINVAL'];

/** Yields the entries in order of name, and nothing for a source that does not exist or that a link of the task hides. */
export async function* findSources(
  root: Fd,
  { names, isPattern }: SourcePattern,
  given: FindOptions,
): AsyncGenerator<FoundSource> {
  const options = { ...given, isPattern };
  const first = isPattern ? names.findIndex(isPatternName) : -1;
  const fixed = names.slice(0, first === -1 ? -1 : first);
  const parent = unlessFailed(() => openFolderInRoot(root, fixed.join('/') || '.'), ABSENT);
  if (parent === undefined) return;
  try {
    const path = fixed.map((name) => `/${name}`).join('');
    yield* findIn({ folder: parent, path }, names.slice(fixed.length), options);
  } finally {
    closeFd(parent);
  }
}

async function* findIn(
  { folder, path }: Pick<FoundSource, 'folder' | 'path'>,
  [name = '', ...rest]: readonly ByteString[],
  options: FindOptions & Pick<SourcePattern, 'isPattern'>,
): AsyncGenerator<FoundSource> {
  const matches =
    options.isPattern && isPatternName(name)
      ? await listMatches(folder, toMatcher(name), options)
      : lookUp(folder, name);
  for (const match of matches) {
    const found = { folder, ...match, path: `${path}/${match.name}` };
    if (rest.length === 0) {
      yield found;
      continue;
    }
    if (match.kind !== 'folder' && match.kind !== 'unknown') continue;
    const inside = unlessFailed(() => openBeneath(folder, match.name, READ_FOLDER), ABSENT);
    if (inside === undefined) continue;
    try {
      yield* findIn({ folder: inside, path: found.path }, rest, options);
    } finally {
      closeFd(inside);
    }
  }
}

type Match = Pick<FoundSource, 'name' | 'kind'>;

function lookUp(folder: Fd, name: ByteString): readonly Match[] {
  const stats = unlessFailed(() => lstatSync(entryBytes(folder, name)), ABSENT);
  return stats === undefined ? [] : [{ name, kind: toKind(stats) }];
}

async function listMatches(
  folder: Fd,
  matcher: (name: ByteString) => boolean,
  { pace, most }: FindOptions,
): Promise<readonly Match[]> {
  const listed = unlessFailed(() => openBeneath(folder, '.', READ_FOLDER), ABSENT);
  if (listed === undefined) return [];
  const matches: Match[] = [];
  try {
    for (const entry of readEntries(listed)) {
      if (pace.isDue) await pace.rest();
      if (matcher(entry.name) && matches.push(entry) > most) break;
    }
  } finally {
    closeFd(listed);
  }
  return matches.sort((one, other) => (one.name < other.name ? -1 : 1));
}
