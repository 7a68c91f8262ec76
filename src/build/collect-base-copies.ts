/** Removes the builder's copies of images that are no longer current for any stack. */
import { renameSync } from 'node:fs';
import { type Layout, tmpDir } from '../core/layout.ts';
import { revisionIn } from '../store/stacks/generations.ts';
import { temporaryPath } from '../store/stale-files.ts';
import type { StoreSurvey } from '../store/survey-store.ts';
import { namesIn } from '../sys/files.ts';
import { ensureDirectory } from '../sys/write-file.ts';
import { baseCopiesDir, toCopyName } from './base-copy.ts';

/** Folders of copies of images that are neither current nor pinned: a build may be about to use a pinned one. */
export function findUnneededCopies(
  layout: Layout,
  { generation, revisions }: StoreSurvey,
  pinned: ReadonlySet<string>,
): readonly string[] {
  const current = revisions.filter((one) => revisionIn(generation, one.stack) === one.revision);
  const needed = new Set(current.map(({ stack, image }) => toCopyName(stack, image)));
  return namesIn(baseCopiesDir(layout))
    .filter((name) => !needed.has(name) && !pinned.has(`sha256:${name.split('.').at(-1)}`))
    .map((name) => `${baseCopiesDir(layout)}/${name}`);
}

/** Moves the folders away, so that builds no longer see them. Returns the new paths, which the caller removes. */
export async function moveCopiesAway(
  layout: Layout,
  folders: readonly string[],
): Promise<readonly string[]> {
  if (folders.length > 0) await ensureDirectory(tmpDir(layout), 0o700);
  return folders.map((folder) => {
    const moved = temporaryPath(layout, '.base');
    renameSync(folder, moved);
    return moved;
  });
}
