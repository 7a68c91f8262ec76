/** Bounds the cache of build steps: the least recently used builds go first. */
import { lstatSync, rmSync, unlinkSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import { type BuildKey, isBuildKey } from '../../core/ids.ts';
import { builtDir, builtFile, type Layout, mountedBuiltDir } from '../../core/layout.ts';
import { namesIn } from '../../sys/files.ts';
import { type FileLock, takeFileLock } from '../../sys/lock.ts';
import type { System } from '../../sys/system.ts';
import { lockBuild } from './hold-built.ts';
import { detachBuilt } from './mount-built.ts';

/** The outcome of one build step on disk. */
export interface StoredBuilt {
  readonly key: BuildKey;
  /** Size of all its files. */
  readonly sizeBytes: number;
}

/** Most builds in the cache. A failed build takes few bytes, but every collection looks at each build. */
export const MOST_BUILDS = 10_000;

const NAME = /^([0-9a-f]{64})\.[a-z.]+$/;

/**
 * Lists every build with a file, least recently used first. `usedAt` is in milliseconds since 1970; 0 means that the build has no record, because
 * storing or removing the build was interrupted.
 */
export function listBuilt(layout: Layout): (StoredBuilt & { readonly usedAt: number })[] {
  const found = new Map<BuildKey, { sizeBytes: number; usedAt: number }>();
  for (const name of namesIn(builtDir(layout))) {
    const key = NAME.exec(name)?.[1] ?? '';
    const stat = lstatSync(`${builtDir(layout)}/${name}`, { throwIfNoEntry: false });
    if (!isBuildKey(key) || stat === undefined) continue;
    const one = found.get(key) ?? { sizeBytes: 0, usedAt: 0 };
    one.sizeBytes += stat.size;
    if (name.endsWith('.json')) one.usedAt = Math.max(1, stat.mtimeMs);
    found.set(key, one);
  }
  const all = [...found].map(([key, one]) => ({ key, ...one }));
  return all.sort((a, b) => a.usedAt - b.usedAt);
}

interface CollectBuiltOptions {
  /** Maximum size of the cache, and maximum time since the last use of a build. */
  readonly bounds: { readonly cacheBytes: number; readonly cacheAgeMs: number };
  /** Builds of kept tasks and of tasks whose owners have died: these tasks hold no locks. */
  readonly inUse: ReadonlySet<BuildKey>;
  readonly dryRun?: boolean;
  readonly now?: number;
}

/**
 * Removes builds without a record, builds not used within the maximum time, and the least recently used builds beyond the bounds. Keeps builds that
 * a task uses or that are running. Returns the removed builds; with `dryRun`, the builds it would remove. Safe while tasks start.
 */
export function collectBuilt(
  place: { readonly system: System; readonly layout: Layout },
  { bounds, inUse, dryRun = false, now = Date.now() }: CollectBuiltOptions,
): readonly StoredBuilt[] {
  const all = listBuilt(place.layout);
  let total = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let count = all.length;
  const gone: StoredBuilt[] = [];
  for (const { key, sizeBytes, usedAt } of all) {
    const isOld = now - usedAt > bounds.cacheAgeMs;
    const isTooMuch = total > bounds.cacheBytes || count > MOST_BUILDS;
    if (!(isOld || isTooMuch) || inUse.has(key)) continue;
    if (!removeBuilt(place, key, dryRun)) continue;
    total -= sizeBytes;
    count -= 1;
    gone.push({ key, sizeBytes });
  }
  return gone;
}

/** Returns false if a task uses the build or the build step is running. */
function removeBuilt(
  place: { readonly system: System; readonly layout: Layout },
  key: BuildKey,
  dryRun: boolean,
): boolean {
  const build = lockBuild(place, key);
  if (build === undefined) return false;
  let use: FileLock | undefined;
  try {
    const path = builtFile(place.layout, key, 'json');
    // A build without a record has no users, so the build's lock is enough.
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile()) {
      use = takeFileLock(place.system, path, { wait: false });
      if (use === undefined) return false;
    }
    if (!dryRun) unlinkAll(place, key);
    return true;
  } finally {
    use?.release();
    build.release();
  }
}

/** The record goes first: files without a record count as absent. */
function unlinkAll(
  place: { readonly system: System; readonly layout: Layout },
  key: BuildKey,
): void {
  const { layout } = place;
  unlinkFile(builtFile(layout, key, 'json'));
  detachBuilt({ ...place, key });
  rmSync(mountedBuiltDir(layout, key), { recursive: true, force: true });
  for (const name of ['code.erofs', 'task.erofs', 'log', 'lock']) {
    unlinkFile(builtFile(layout, key, name));
  }
}

const unlinkFile = (path: string) => unlessMissing(() => unlinkSync(path));
