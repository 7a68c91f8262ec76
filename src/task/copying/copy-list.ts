/** Lists a folder of a running task, for completion. */
import { opendirSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import { fdPath } from '../../sys/paths.ts';
import { closeFd, openFolderInRoot } from '../../sys/tree-calls.ts';
import { parsePath } from '../outputs/find-sources.ts';
import { OutputReport } from '../outputs/output-report.ts';
import { toSourcePlace } from '../outputs/place-sources.ts';
import { writeOut } from './copy-out.ts';
import type { CopyWork } from './task-tree.ts';

const MOST_NAMES = 1_000;

/** Writes the names of the first entries, each with a NUL after it; names of folders end with a slash. */
export async function copyList({ order, tree }: CopyWork): Promise<OutputReport> {
  const report = new OutputReport(order.inside, order.outside);
  const { root, pattern } = toSourcePlace(parsePath(order.inside, '/'), tree);
  const folder = unlessMissing(() => openFolderInRoot(root, pattern.names.join('/') || '.'));
  if (folder === undefined) return report;
  report.found();
  try {
    const words = listEntries(fdPath(folder)).map((name) => `${name}\0`);
    await writeOut(Buffer.from(words.join('')));
  } finally {
    closeFd(folder);
  }
  return report;
}

function listEntries(path: string): readonly string[] {
  const names: string[] = [];
  const entries = opendirSync(path);
  try {
    for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
      names.push(entry.isDirectory() ? `${entry.name}/` : entry.name);
      if (names.length === MOST_NAMES) break;
    }
  } finally {
    entries.closeSync();
  }
  return names;
}
