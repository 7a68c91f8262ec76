/** Unpacks a tar into a folder of a task. The task may change the folder meanwhile: every name is opened beneath the folder above it. */
import type { Readable } from 'node:stream';
import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { type ArchivePolicy, LAYER_POLICY } from '../../archive/archive-policy.ts';
import { parseEntryPath } from '../../archive/entry-path.ts';
import type { ByteString, TarEntry } from '../../archive/tar-entry.ts';
import { createTarParser } from '../../archive/tar-parser.ts';
import { writeNow } from '../../sys/files.ts';
import { O_PATH } from '../../sys/paths.ts';
import { closeFd, openBeneath } from '../../sys/tree-calls.ts';
import type { Budget } from '../outputs/budget.ts';
import {
  atDestination,
  type FolderTarget,
  type NewFile,
  type TargetFolder,
} from '../outputs/folder-target.ts';
import { LeftOut } from '../outputs/left-out.ts';
import type { OutputReport } from '../outputs/output-report.ts';
import type { FolderStats } from '../outputs/tree-target.ts';

const POLICY: ArchivePolicy = {
  ...LAYER_POLICY,
  subject: 'tar',
  invalidCode: 'ERR_STACKSHIM_SPEC_INVALID',
};
const USUAL_FOLDER: FolderStats = { mode: 0o755, uid: 0, gid: 0, mtimeMs: Date.now() };

export interface UnpackOptions {
  readonly target: FolderTarget;
  readonly budget: Budget;
  readonly report: OutputReport;
}

/** Unpacks a tar. Rejects with ERR_STACKSHIM_SPEC_INVALID for input that is not a tar, and with `DestinationFailed`. */
export async function unpackTar(
  input: Readable,
  root: TargetFolder,
  options: UnpackOptions,
): Promise<void> {
  const unpacking = new Unpacking(root, options);
  const parser = createTarParser(POLICY, LAYER_LIMITS, unpacking);
  try {
    for await (const chunk of input) parser.push(chunk as Buffer);
    parser.end();
    unpacking.finish();
  } finally {
    unpacking.close();
  }
}

interface OpenFolder {
  readonly path: ByteString;
  readonly folder: TargetFolder;
  readonly stats: FolderStats;
}

class Unpacking {
  readonly #options: UnpackOptions;
  readonly #root: TargetFolder;
  /** The folders above the last entry, outermost first. */
  #open: OpenFolder[] = [];
  #file:
    | (NewFile & { at: number; readonly path: ByteString; readonly stats: FolderStats })
    | undefined;

  constructor(root: TargetFolder, options: UnpackOptions) {
    this.#root = root;
    this.#options = options;
  }

  entry(entry: TarEntry): void {
    this.#endFile();
    const { report, budget } = this.#options;
    const parsed = parseEntryPath(entry.path, LAYER_LIMITS, 'beneath');
    const path = typeof parsed === 'string' ? entry.path : parsed.path;
    if (!budget.takeEntry()) {
      report.leftOut(`/${path}`, 'entries_limit');
      return;
    }
    if (path === '') return;
    try {
      if (typeof parsed === 'string') throw new LeftOut('destination_refuses');
      this.#take(entry, path);
    } catch (error) {
      this.#leaveOut(path, error);
    }
  }

  data(chunk: Buffer): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      this.#options.budget.takeBytes(chunk.length);
      atDestination(() => writeNow(file.fd, chunk, file.at));
      file.at += chunk.length;
    } catch (error) {
      this.#closeFile();
      this.#leaveOut(file.path, error);
    }
  }

  finish(): void {
    this.#endFile();
    this.#closeTo([]);
  }

  close(): void {
    this.#closeFile();
    for (const { folder } of this.#open.splice(0)) closeFd(folder.fd);
  }

  #take(entry: TarEntry, path: ByteString): void {
    const { target, report } = this.#options;
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const parent = this.#openParent(slash === -1 ? [] : path.slice(0, slash).split('/'));
    const stats: FolderStats = { ...entry, mtimeMs: entry.mtime.seconds * 1000 };
    if (entry.kind === 'directory') {
      const folder = target.openFolder(parent, name);
      this.#open.push({ path, folder, stats });
      report.taken('folder');
    } else if (entry.kind === 'symlink') {
      target.addLink(parent, name, { target: entry.linkTarget });
      report.taken('link');
    } else if (entry.kind === 'hardlink') {
      this.#addName(parent, name, entry.linkTarget);
    } else if (entry.kind === 'file') {
      this.#file = { ...target.beginFile(parent, name), at: 0, path, stats };
    } else throw new LeftOut(entry.kind === 'fifo' ? 'fifo' : 'device');
  }

  #addName(parent: TargetFolder, name: ByteString, linked: ByteString): void {
    const { target, report } = this.#options;
    const parsed = parseEntryPath(linked, LAYER_LIMITS, 'beneath');
    if (typeof parsed === 'string') throw new LeftOut('destination_refuses');
    const file = atDestination(() => openBeneath(this.#root.fd, parsed.path, O_PATH));
    try {
      target.addName(parent, name, file);
      report.taken('file');
    } finally {
      closeFd(file);
    }
  }

  #endFile(): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      file.publish(file.stats);
      this.#options.report.taken('file');
    } catch (error) {
      this.#leaveOut(file.path, error);
    } finally {
      this.#closeFile();
    }
  }

  /** Closes the file, and removes it unless it was published. */
  #closeFile(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    file.discard();
    closeFd(file.fd);
  }

  /** Opens the folder with this path and creates missing folders. Closes open folders that are not on the path. */
  #openParent(names: readonly ByteString[]): TargetFolder {
    this.#closeTo(names);
    for (let depth = this.#open.length; depth < names.length; depth += 1) {
      const above = this.#open.at(-1)?.folder ?? this.#root;
      const folder = this.#options.target.openFolder(above, names[depth] ?? '');
      const path = names.slice(0, depth + 1).join('/');
      this.#open.push({ path, folder, stats: USUAL_FOLDER });
    }
    return this.#open.at(-1)?.folder ?? this.#root;
  }

  #closeTo(names: readonly ByteString[]): void {
    while (this.#open.length > 0) {
      const last = this.#open.at(-1);
      const depth = this.#open.length;
      if (last === undefined || last.path === names.slice(0, depth).join('/')) return;
      this.#open.pop();
      this.#options.target.closeFolder(last.folder, last.stats);
    }
  }

  #leaveOut(path: ByteString, error: unknown): void {
    if (!(error instanceof LeftOut)) throw error;
    this.#options.report.leftOut(`/${path}`, error.reason);
  }
}
