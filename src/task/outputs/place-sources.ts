/** Puts the entries that one source names into its destination. */
import { fstatSync } from 'node:fs';
import type { ByteString } from '../../archive/tar-entry.ts';
import type { Fd } from '../../sys/system.ts';
import { closeFd, openBeneath, READ_FOLDER } from '../../sys/tree-calls.ts';
import type { ContentReader } from './content.ts';
import { type Destination, ownerOfFolder } from './destination.ts';
import { findSources, type SourcePattern } from './find-sources.ts';
import { FolderTarget, type TargetFolder } from './folder-target.ts';
import type { FolderStats } from './tree-target.ts';
import { TreeWalk, type WalkOptions } from './walk-tree.ts';

/** Where the entries of one source go. */
export interface Place<F> {
  /** An existing folder, into which the entries go. */
  readonly folder: F;
  /** Name of a new entry in `folder`: the source itself, or a new folder for the entries. */
  readonly name?: ByteString | undefined;
  /** Whether `name` becomes a folder for the entries, even if there is only one. */
  readonly isFolder: boolean;
  /** Names in `folder` that this task has used: two sources may not have the same name. */
  readonly used: Set<ByteString>;
}

/** The tree of a source, and the path of the source in that tree. */
export interface SourcePlace {
  readonly root: Fd;
  /** The path of the root in the task; empty for the root filesystem. */
  readonly at: ByteString;
  readonly pattern: SourcePattern;
}

/** Finds the tree of a source: if the task has code, the mount at `/task` is a tree of its own. */
export function toSourcePlace(
  pattern: SourcePattern,
  { root, code }: { readonly root: Fd; readonly code: Fd | undefined },
): SourcePlace {
  const [first, ...names] = pattern.names;
  return code !== undefined && first === 'task'
    ? { root: code, at: '/task', pattern: { ...pattern, names } }
    : { root, at: '', pattern };
}

/** Puts the entries of a source into a place. Rejects with `DestinationFailed` and `Stopped`. */
export async function placeSources<F>(
  source: SourcePlace,
  place: Place<F>,
  options: WalkOptions<F>,
): Promise<void> {
  const { isContent, isPattern } = source.pattern;
  const { folder, name, used } = place;
  if (isContent && !isPattern) await placeContent(source, place, options);
  else if (name !== undefined && (place.isFolder || isPattern || isContent)) {
    await placeInNew(source, place, options);
  } else await takeEach(source, { folder: async () => folder, name, used }, options);
}

/** Places `SRC/.`: the content of the folder. */
async function placeContent<F>(
  source: SourcePlace,
  { folder, name }: Place<F>,
  options: WalkOptions<F>,
): Promise<void> {
  const { report, target } = options;
  const opened = await openSource(source, options);
  if (opened === undefined) return;
  const { at, pattern } = source;
  const path = `${at}${pattern.names.map((each) => `/${each}`).join('')}` || '/';
  try {
    const stats = fstatSync(opened);
    report.found();
    report.took(path, 'folder');
    const into = name === undefined ? folder : await target.openFolder(folder, name, stats);
    try {
      await new TreeWalk(options).takeContent(opened, path, into);
    } finally {
      if (name !== undefined) target.closeFolder(into, stats);
    }
  } finally {
    closeFd(opened);
  }
}

/** Opens the folder that a source names; undefined if there is none. */
async function openSource<F>(
  { root, pattern }: SourcePlace,
  { pace }: WalkOptions<F>,
): Promise<Fd | undefined> {
  if (pattern.names.length === 0) return openBeneath(root, '.', READ_FOLDER);
  for await (const found of findSources(root, pattern, { pace, most: 1 })) {
    if (found.kind !== 'folder') return undefined;
    return openBeneath(found.folder, found.name, READ_FOLDER);
  }
  return undefined;
}

/** Places the entries in a new folder, which is created only if an entry is found. */
async function placeInNew<F>(
  source: SourcePlace,
  { folder, name = '' }: Place<F>,
  options: WalkOptions<F>,
): Promise<void> {
  const { target } = options;
  const stats: FolderStats = { mode: 0o755, uid: 0, gid: 0, mtimeMs: Date.now() };
  let made: F | undefined;
  const open = async () => {
    made ??= await target.openFolder(folder, name, stats);
    return made;
  };
  try {
    await takeEach(source, { folder: open, used: new Set() }, options);
  } finally {
    if (made !== undefined) target.closeFolder(made, stats);
  }
}

async function takeEach<F>(
  { root, at, pattern }: SourcePlace,
  { folder: open, name: as, used }: Omit<Place<() => Promise<F>>, 'isFolder'>,
  options: WalkOptions<F>,
): Promise<void> {
  const { report, budget, pace } = options;
  const walk = new TreeWalk(options);
  if (pattern.names.length === 0) {
    const folder = openBeneath(root, '.', READ_FOLDER);
    try {
      report.found();
      await walk.takeFolder(folder, { into: await open(), as: as ?? at.slice(1), path: at });
      report.took(at, 'folder');
    } finally {
      closeFd(folder);
    }
    return;
  }
  const finding = { pace, most: budget.entriesLeft + 1 };
  for await (const { folder, name, kind, path } of findSources(root, pattern, finding)) {
    report.found();
    const shown = `${at}${path}`;
    const target = as ?? name;
    if (used.has(target)) {
      report.leftOut(shown, 'destination_exists');
      continue;
    }
    used.add(target);
    const before = report.takenCount;
    const entry = { folder, name, kind, path: shown, into: await open(), as: target };
    const goesOn = await walk.take(entry);
    const isTaken = report.takenCount > before;
    if (isTaken && (kind === 'file' || kind === 'folder' || kind === 'link')) {
      report.took(shown, kind);
    }
    if (!goesOn) return;
  }
}

export interface FolderPlacing extends Omit<WalkOptions<TargetFolder>, 'target'> {
  readonly content: ContentReader;
  /** The names that the task has used in a folder. */
  readonly usedIn: (folder: Fd) => Set<ByteString>;
}

/** Puts the entries that one source names into a folder of the host, or under a new name. Rejects like {@link placeSources}. */
export async function placeOnHost(
  source: SourcePlace,
  to: Destination,
  { content, usedIn, ...options }: FolderPlacing,
): Promise<void> {
  const { folder, name, close } = openPlace(to);
  try {
    const owner = ownerOfFolder(folder.fd);
    const target = new FolderTarget({ content, owner, replaces: 'own' });
    const place = { folder, name, isFolder: to.isFolder, used: usedIn(folder.fd) };
    try {
      await placeSources<TargetFolder>(source, place, { ...options, target });
    } finally {
      target.close();
    }
  } finally {
    close();
  }
}

/** Opens the place. If `name` is a folder by now, from another output or from the start, entries go into it. */
function openPlace({ folder, name }: Destination) {
  const at: TargetFolder = { fd: folder, isNew: false };
  if (name === undefined) return { folder: at, name, close: () => undefined };
  const bytes = Buffer.from(name).toString('latin1');
  try {
    const fd = openBeneath(folder, bytes, READ_FOLDER);
    return { folder: { fd, isNew: false }, name: undefined, close: () => closeFd(fd) };
  } catch {
    // `name` does not exist, or is a file to replace.
    return { folder: at, name: bytes, close: () => undefined };
  }
}
