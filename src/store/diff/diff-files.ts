/** Collects the files that differ between two trees. */
import type { Image } from '../images/image.ts';
import { diffTrees, type FileChange, type TreesToDiff } from './diff-trees.ts';

export interface FileTotals {
  readonly files: number;
  /** For added and removed files, their size; for changed files, their growth, which may be negative. */
  readonly bytes: number;
}

/** The files that differ. */
export interface FileDiff {
  /** Sorted by path. At most 100,000; `totals` counts all. */
  readonly files: readonly FileChange[];
  readonly totals: Readonly<Record<FileChange['change'], FileTotals>>;
  /** Whether `files` contains every changed file. */
  readonly complete: boolean;
}

const MAX_LISTED = 100_000;

/** The layers above those that both images begin with. */
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
