/** Finds what differs between two revisions, of one stack or of two: settings, packages and files, with sizes. */
import { lstatSync } from 'node:fs';
import type { ImageDigest, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { StackReference } from '../../spec/task-spec.ts';
import { readBoundedFile } from '../../sys/files.ts';
import type { System } from '../../sys/system.ts';
import type { Image, PinnedImage } from '../images/image.ts';
import { readLayerRecord } from '../layers/layer-record.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { findEarlierRevision } from '../stacks/rollback.ts';
import { diffSettings, type SettingChange } from './diff-settings.ts';
import { diffTrees, type FileChange } from './diff-trees.ts';
import { diffPackages, type PackageChange, parseDpkgStatus } from './dpkg-status.ts';
import { openImageViews } from './image-view.ts';
import { type DiffSummary, summariseDiff } from './summarise-diff.ts';

export interface DiffStackOptions {
  /** Default: the revision of the same stack that was current before `after`. */
  readonly before?: StackReference | undefined;
  readonly after: StackReference;
}

export interface FileTotals {
  readonly files: number;
  /** For added and removed files, their size; for changed files, their growth, which may be negative. */
  readonly bytes: number;
}

/** One side of a comparison. */
export interface DiffSide {
  readonly stack: StackName;
  readonly revision: number;
  readonly image: ImageDigest;
  /** Size of its layers on disk. */
  readonly bytes: number;
}

/** What differs between two revisions. */
export interface StackDiff {
  /** The stack, and the revisions, of the two sides: `after.stack`, `before.revision`, `after.revision`. */
  readonly stack: StackName;
  readonly from: number;
  readonly to: number;
  readonly before: DiffSide;
  readonly after: DiffSide;
  readonly summary: DiffSummary;
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
  const after = resolveStack(layout, options.after);
  const before = resolveStack(layout, options.before ?? toEarlier(layout, after));
  const views = openImageViews(system, layout);
  try {
    const [one, other] = [views.image(before.image), views.image(after.image)];
    const layers = notShared(before.image, after.image).map(views.layer);
    const files = collectFiles({ before: one, after: other, layers });
    const packages = diffPackages(readPackages(one), readPackages(other));
    const settings = diffSettings(before.image.config, after.image.config);
    const { stack, revision: to } = after;
    const sides = { before: toSide(layout, before), after: toSide(layout, after) };
    const summary = summariseDiff(packages, settings);
    return { stack, from: before.revision, to, ...sides, summary, settings, packages, ...files };
  } finally {
    views.close();
  }
}

const toEarlier = (layout: Layout, { stack, revision }: PinnedImage): StackReference => ({
  name: stack,
  revision: findEarlierRevision(layout, stack, revision),
});

const toSide = (layout: Layout, { stack, revision, image }: PinnedImage): DiffSide => ({
  stack,
  revision,
  image: image.digest,
  bytes: image.layers.reduce((sum, id) => sum + readLayerRecord(layout, id).sizeBytes, 0),
});

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
