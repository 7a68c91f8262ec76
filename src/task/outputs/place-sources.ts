/** Puts the entries that one source names into its destination. */
import { fstatSync } from 'node:fs';
import type { ByteString } from '../../archive/tar-entry.ts';
import type { Fd } from '../../sys/system.ts';
import { closeFd, openBeneath, READ_FOLDER } from '../../sys/tree-calls.ts';
import type { Destination } from './destination.ts';
import { findSources, type SourcePattern } from './find-sources.ts';
import type { TargetFolder } from './folder-target.ts';
import type { OutputReport } from './output-report.ts';
import type { FolderStats } from './tree-target.ts';
import { TreeWalk, type WalkOptions } from './walk-tree.ts';

/** Where the entries of one source go. */
export interface Place<F> {
  /** Exists already: the entries go into it. */
  readonly folder: F;
  /** A new entry in `folder`: the source itself gets this name, or entries go into a new folder of this name. */
  readonly name?: ByteString | undefined;
  /** Whether `name` is a folder for the entries, however many there are. */
  readonly isFolder: boolean;
  /** Names in `folder` that this task has used; more than one source may not have them. */
  readonly used: Set<ByteString>;
}

/** The root of the tree, and the names that lead to the source from there. */
export interface SourcePlace {
  readonly root: Fd;
  /** The path of the root in the task; empty for the root filesystem. */
  readonly at: ByteString;
  readonly pattern: SourcePattern;
}

export interface PlaceOptions<F> extends Omit<WalkOptions<F>, 'report'> {
  readonly report: OutputReport;
}

/** Throws `DestinationFailed` and `Stopped`. */
export async function placeSources<F>(
  source: SourcePlace,
  place: Place<F>,
  options: PlaceOptions<F>,
): Promise<void> {
  const { pattern } = source;
  const walk = new TreeWalk(options);
  if (pattern.isContent && !pattern.isPattern) {
    await placeContent(source, place, { walk, options });
    return;
  }
  if (place.name !== undefined && (place.isFolder || pattern.isPattern || pattern.isContent)) {
    await placeInNew(source, place, { walk, options });
    return;
  }
  await placeEach(source, place, { walk, options });
}

interface Placing<F> {
  readonly walk: TreeWalk<F>;
  readonly options: PlaceOptions<F>;
}

/** `SRC/.`: what is in the folder. */
async function placeContent<F>(
  source: SourcePlace,
  { folder, name }: Place<F>,
  { walk, options }: Placing<F>,
): Promise<void> {
  const { report, target } = options;
  const opened = await openSource(source, options);
  if (opened === undefined) return;
  try {
    const stats = fstatSync(opened);
    report.found();
    report.took(pathOf(source), 'folder');
    const into = name === undefined ? folder : await target.openFolder(folder, name, stats);
    try {
      await walk.takeContent(opened, pathOf(source), into);
    } finally {
      if (name !== undefined) target.closeFolder(into, stats);
    }
  } finally {
    closeFd(opened);
  }
}

const pathOf = ({ at, pattern }: SourcePlace): ByteString =>
  `${at}${pattern.names.map((name) => `/${name}`).join('')}` || '/';

/** The folder that a source names; undefined if there is none. */
async function openSource<F>(
  { root, pattern }: SourcePlace,
  { pace }: PlaceOptions<F>,
): Promise<Fd | undefined> {
  if (pattern.names.length === 0) return openBeneath(root, '.', READ_FOLDER);
  for await (const found of findSources(root, pattern, { pace, most: 1 })) {
    if (found.kind !== 'folder') return undefined;
    return openBeneath(found.folder, found.name, READ_FOLDER);
  }
  return undefined;
}

/** The folder is made when something is found for it. */
async function placeInNew<F>(
  source: SourcePlace,
  { folder, name = '' }: Place<F>,
  { walk, options }: Placing<F>,
): Promise<void> {
  const { target } = options;
  const stats: FolderStats = { mode: 0o755, uid: 0, gid: 0, mtimeMs: Date.now() };
  let made: F | undefined;
  const open = async () => {
    made ??= await target.openFolder(folder, name, stats);
    return made;
  };
  try {
    await takeEach(source, { open, used: new Set() }, { walk, options });
  } finally {
    if (made !== undefined) target.closeFolder(made, stats);
  }
}

async function placeEach<F>(
  source: SourcePlace,
  { folder, name, used }: Place<F>,
  { walk, options }: Placing<F>,
): Promise<void> {
  await takeEach(source, { open: async () => folder, as: name, used }, { walk, options });
}

interface Into<F> {
  readonly open: () => Promise<F>;
  readonly as?: ByteString | undefined;
  readonly used: Set<ByteString>;
}

async function takeEach<F>(
  { root, at, pattern }: SourcePlace,
  { open, as, used }: Into<F>,
  { walk, options }: Placing<F>,
): Promise<void> {
  const { report, budget, pace } = options;
  if (pattern.names.length === 0) {
    await takeRoot({ root, at }, { into: await open(), as: as ?? at.slice(1) }, { walk, options });
    return;
  }
  const most = budget.entriesLeft + 1;
  for await (const { folder, name, kind, path } of findSources(root, pattern, {
    pace,
    most,
  })) {
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
    if (report.takenCount > before && isTaken(kind)) report.took(shown, kind);
    if (!goesOn) return;
  }
}

async function takeRoot<F>(
  { root, at }: Pick<SourcePlace, 'root' | 'at'>,
  to: { readonly into: F; readonly as: ByteString },
  { walk, options: { report } }: Placing<F>,
): Promise<void> {
  const folder = openBeneath(root, '.', READ_FOLDER);
  try {
    report.found();
    await walk.takeFolder(folder, { ...to, path: at });
    report.took(at, 'folder');
  } finally {
    closeFd(folder);
  }
}

const isTaken = (kind: string): kind is 'file' | 'folder' | 'link' =>
  kind === 'file' || kind === 'folder' || kind === 'link';

/** A name that another output has made meanwhile, or that was there from the start: if it is a folder, entries go into it. */
export function openPlace({ folder, name }: Destination) {
  const at: TargetFolder = { fd: folder, isNew: false };
  if (name === undefined) return { folder: at, name, close: () => undefined };
  const bytes = Buffer.from(name).toString('latin1');
  try {
    const fd = openBeneath(folder, bytes, READ_FOLDER);
    return { folder: { fd, isNew: false }, name: undefined, close: () => closeFd(fd) };
  } catch {
    // It does not exist, or is a file that is replaced.
    return { folder: at, name: bytes, close: () => undefined };
  }
}
