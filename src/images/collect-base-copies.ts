/** Removes the builder's copies of images that no stack has as its current one any more. */
import { readdirSync, renameSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { type Layout, tmpDir } from '../core/layout.ts';
import { temporaryPath } from '../layers/stale-files.ts';
import { revisionIn } from '../stacks/generations.ts';
import type { StoreSurvey } from '../stacks/survey-store.ts';
import { ensureDirectory } from '../sys/write-file.ts';
import { baseCopiesDir, toCopyName } from './base-copy.ts';

/** Folders of copies that are of no current image, nor of a pinned one: a build may be about to use that. */
export function findUnneededCopies(
  layout: Layout,
  { generation, revisions }: StoreSurvey,
  pinned: ReadonlySet<string>,
): readonly string[] {
  const current = revisions.filter((one) => revisionIn(generation, one.stack) === one.revision);
  const needed = new Set(current.map(({ stack, image }) => toCopyName(stack, image)));
  return copyNames(layout)
    .filter((name) => !needed.has(name) && !pinned.has(`sha256:${name.split('.').at(-1)}`))
    .map((name) => `${baseCopiesDir(layout)}/${name}`);
}

/** Takes the folders out of every build's sight at once. Returns where they lie now: the caller removes them. */
export async function setCopiesAside(
  layout: Layout,
  folders: readonly string[],
): Promise<readonly string[]> {
  if (folders.length > 0) await ensureDirectory(tmpDir(layout), 0o700);
  return folders.map((folder) => {
    const aside = temporaryPath(layout, '.base');
    renameSync(folder, aside);
    return aside;
  });
}

function copyNames(layout: Layout): readonly string[] {
  try {
    return readdirSync(baseCopiesDir(layout));
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
