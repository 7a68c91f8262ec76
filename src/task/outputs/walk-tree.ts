/**
 * Takes an entry of a tree, with everything below it, into a target. A hostile task made the tree: each name is opened beneath its open folder,
 * no link is followed, no other mount is entered, and only regular files, folders and links are taken.
 */
import { fstatSync, lstatSync, readlinkSync, type Stats } from 'node:fs';
import type { ByteString } from '../../archive/tar-entry.ts';
import { errnoCodeOf } from '../../core/errors.ts';
import type { Fd } from '../../sys/system.ts';
import {
  closeFd,
  type EntryKind,
  entryBytes,
  openBeneath,
  READ_ENTRY,
  READ_FOLDER,
  readEntries,
} from '../../sys/tree-calls.ts';
import type { Budget } from './budget.ts';
import { LeftOut, type LeftOutReason } from './left-out.ts';
import type { OutputReport } from './output-report.ts';
import type { Pace } from './pace.ts';
import type { TreeTarget } from './tree-target.ts';

/** Most levels; each needs two descriptors. */
const MAX_DEPTH = 100;

export interface WalkOptions<F> {
  readonly target: TreeTarget<F>;
  readonly budget: Budget;
  readonly pace: Pace;
  readonly report: OutputReport;
}

/** An entry of an open folder, and where it goes. */
export interface WalkedEntry<F> {
  readonly folder: Fd;
  readonly name: ByteString;
  /** According to the directory entry. */
  readonly kind: EntryKind;
  /** The path in reports. */
  readonly path: ByteString;
  readonly into: F;
  readonly as: ByteString;
}

export class TreeWalk<F> {
  readonly #options: WalkOptions<F>;
  #depth = 0;

  constructor(options: WalkOptions<F>) {
    this.#options = options;
  }

  /** Takes one entry with everything below it. Resolves to false if the entry limit is reached. Rejects with `DestinationFailed` and `Stopped`. */
  async take(entry: WalkedEntry<F>): Promise<boolean> {
    const { budget, pace, report } = this.#options;
    if (!budget.takeEntry()) {
      report.leftOut(entry.path, 'entries_limit');
      return false;
    }
    if (pace.isDue) await pace.rest();
    try {
      return await this.#takeKind(entry);
    } catch (error) {
      report.leftOut(entry.path, toReason(error));
      return true;
    }
  }

  async takeContent(folder: Fd, path: ByteString, into: F): Promise<boolean> {
    const { report } = this.#options;
    if (this.#depth >= MAX_DEPTH) {
      report.leftOut(path, 'too_deep');
      return true;
    }
    this.#depth += 1;
    try {
      for (const { name, kind } of readEntries(folder)) {
        const inside = path === '/' ? `/${name}` : `${path}/${name}`;
        if (!(await this.take({ folder, name, kind, path: inside, into, as: name }))) return false;
      }
      return true;
    } catch (error) {
      report.leftOut(path, toReason(error));
      return true;
    } finally {
      this.#depth -= 1;
    }
  }

  /** Takes an open folder and its content under a name. */
  async takeFolder(folder: Fd, to: Pick<WalkedEntry<F>, 'path' | 'into' | 'as'>): Promise<boolean> {
    const { target, report } = this.#options;
    const stats = fstatSync(folder);
    const opened = await target.openFolder(to.into, to.as, stats);
    report.taken('folder');
    try {
      return await this.takeContent(folder, to.path, opened);
    } finally {
      target.closeFolder(opened, stats);
    }
  }

  async #takeKind(entry: WalkedEntry<F>): Promise<boolean> {
    const { folder: above, name } = entry;
    // The directory entry may not say what kind it is.
    const kind = entry.kind === 'unknown' ? toKind(lstatSync(entryBytes(above, name))) : entry.kind;
    if (kind === 'folder') {
      const folder = openBeneath(above, name, READ_FOLDER);
      try {
        return await this.takeFolder(folder, entry);
      } finally {
        closeFd(folder);
      }
    }
    if (kind === 'file') await this.#takeFile(entry);
    else if (kind === 'link') await this.#takeLink(entry);
    else throw new LeftOut(kind);
    return true;
  }

  async #takeFile({ folder, name, into, as }: WalkedEntry<F>): Promise<void> {
    const { target, report } = this.#options;
    const fd = openBeneath(folder, name, READ_ENTRY);
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile()) throw new LeftOut('changed');
      await target.addFile(into, as, { fd, stats });
      report.taken('file');
    } finally {
      closeFd(fd);
    }
  }

  async #takeLink({ folder, name, into, as }: WalkedEntry<F>): Promise<void> {
    const { target, report } = this.#options;
    const path = entryBytes(folder, name);
    const stats = lstatSync(path);
    const link = readlinkSync(path, { encoding: 'buffer' }).toString('latin1');
    await target.addLink(into, as, { stats, target: link });
    report.taken('link');
  }
}

export function toKind(stats: Stats): Exclude<EntryKind, 'unknown'> {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'folder';
  if (stats.isSymbolicLink()) return 'link';
  if (stats.isFIFO()) return 'fifo';
  return stats.isSocket() ? 'socket' : 'device';
}

/** Error codes of entries that have changed since the folder was read. */
const CHANGED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'ENXIO', 'EISDIR', 'EAGAIN']);

/** Why to leave out an entry. Throws errors that end the whole walk. */
function toReason(error: unknown): LeftOutReason {
  if (error instanceof LeftOut) return error.reason;
  const code = errnoCodeOf(error);
  if (code === undefined || code === 'EMFILE' || code === 'ENFILE') throw error;
  if (code === 'EXDEV') return 'mounted';
  return CHANGED.has(code) ? 'changed' : 'unreadable';
}
