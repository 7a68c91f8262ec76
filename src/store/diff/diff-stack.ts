/** Finds what changed between two revisions of a stack: settings, packages and files, with sizes. */
import { lstatSync } from 'node:fs';
import type { StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { readBoundedFile } from '../../sys/files.ts';
import type { System } from '../../sys/system.ts';
import type { Image } from '../images/image.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { findEarlierRevision } from '../stacks/rollback.ts';
import { diffSettings, type SettingChange } from './diff-settings.ts';
import { diffTrees, type FileChange } from './diff-trees.ts';
import { diffPackages, type PackageChange, parseDpkgStatus } from './dpkg-status.ts';
import { openImageViews } from './image-view.ts';

export interface DiffStackOptions {
  readonly stack: StackName;
  /** Revision to start from. Default: the one that was current before `to`. */
  readonly from?: number | undefined;
  /** Default: the current revision. */
  readonly to?: number | undefined;
}

export interface FileTotals {
  readonly files: number;
  /** For added and removed files, their size; for changed files, their growth, which may be negative. */
  readonly bytes: number;
}

export interface StackDiff {
  readonly stack: StackName;
  readonly from: number;
  readonly to: number;
  readonly settings: readonly SettingChange[];
  readonly packages: readonly PackageChange[];
  /** Sorted by path. At most 100,000; `totals` counts all. */
  readonly files: readonly FileChange[];
  readonly totals: Readonly<Record<FileChange['change'], FileTotals>>;
  /** Whether `files` contains every changed file. */
  readonly complete: boolean;
}

const MAX_LISTED = 100_000;
const DPKG_STATUS = ['var', 'lib', 'dpkg', 'status'];
const MAX_STATUS_BYTES = 64 * 1024 * 1024;

/**
 * Compares the content of two revisions; the times of files do not count. Needs root; blocks for the whole comparison. Throws
 * ERR_STACKSHIM_STACK_NOT_FOUND, ERR_STACKSHIM_LAYER_CORRUPT, ERR_STACKSHIM_LAYER_TOO_LARGE.
 */
export function diffStack(layout: Layout, system: System, options: DiffStackOptions): StackDiff {
  const { stack } = options;
  const after = resolveStack(
    layout,
    options.to === undefined ? { name: stack } : { name: stack, revision: options.to },
  );
  const from = options.from ?? findEarlierRevision(layout, stack, after.revision);
  const before = resolveStack(layout, { name: stack, revision: from });
  const views = openImageViews(system, layout);
  try {
    const [one, other] = [views.image(before.image), views.image(after.image)];
    const layers = notShared(before.image, after.image).map(views.layer);
    const files = collectFiles({ before: one, after: other, layers });
    const packages = diffPackages(readPackages(one), readPackages(other));
    const settings = diffSettings(before.image.config, after.image.config);
    return { stack, from, to: after.revision, settings, packages, ...files };
  } finally {
    views.close();
  }
}

/** The layers above those that both images begin with. */
function notShared({ layers: one }: Image, { layers: other }: Image): Image['layers'] {
  const differs = one.findIndex((id, index) => id !== other[index]);
  const first = differs === -1 ? one.length : differs;
  return [...new Set([...one.slice(first), ...other.slice(first)])];
}

function collectFiles(
  trees: Parameters<typeof diffTrees>[0],
): Pick<StackDiff, 'files' | 'totals' | 'complete'> {
  const files: FileChange[] = [];
  const totals = {
    added: { files: 0, bytes: 0 },
    removed: { files: 0, bytes: 0 },
    changed: { files: 0, bytes: 0 },
  };
  let complete = true;
  diffTrees(trees, (change) => {
    const total = totals[change.change];
    const [before, after] = [change.beforeBytes ?? 0, change.afterBytes ?? 0];
    total.files += 1;
    total.bytes += change.change === 'removed' ? before : after - before;
    if (files.length < MAX_LISTED) files.push(change);
    else complete = false;
  });
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { files, totals, complete };
}

/** Empty if the image is not based on Debian. */
function readPackages(root: string): ReturnType<typeof parseDpkgStatus> {
  let path = root;
  for (const [index, name] of DPKG_STATUS.entries()) {
    path += `/${name}`;
    const stats = lstatSync(path, { throwIfNoEntry: false });
    // A link here would lead out of the image.
    const isLast = index === DPKG_STATUS.length - 1;
    if (!(isLast ? stats?.isFile() : stats?.isDirectory())) return new Map();
  }
  if (lstatSync(path).size > MAX_STATUS_BYTES) return new Map();
  return parseDpkgStatus(readBoundedFile(path, { maxBytes: MAX_STATUS_BYTES }));
}
