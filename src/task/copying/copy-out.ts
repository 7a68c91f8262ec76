/** Copies from a task to a folder of the host or to a tar, and lists a folder of a task. */
import { opendirSync, write } from 'node:fs';
import { StackshimError, unlessMissing } from '../../core/errors.ts';
import { fdPath } from '../../sys/paths.ts';
import { closeFd, openFolderInRoot } from '../../sys/tree-calls.ts';
import { openDestination } from '../outputs/destination.ts';
import { parsePath } from '../outputs/find-sources.ts';
import { OutputReport } from '../outputs/output-report.ts';
import { placeOnHost, placeSources, toSourcePlace } from '../outputs/place-sources.ts';
import { TarTarget } from '../outputs/tar-target.ts';
import { STREAM } from './copy-order.ts';
import type { CopyWork } from './task-tree.ts';

const STDOUT = 1;

export async function copyOut(work: CopyWork): Promise<OutputReport> {
  const { order, content, budget, pace, tree } = work;
  const report = new OutputReport(order.inside, order.outside);
  const source = toSourcePlace(parsePath(order.inside, '/'), tree);
  if (order.outside === STREAM) {
    const target = new TarTarget({ content, write: writeOut, idBase: tree.idBase });
    const place = { folder: '', isFolder: true, used: new Set<string>() };
    await placeSources(source, place, { target, report, budget, pace });
    if (report.hasFound) await target.end();
    return report;
  }
  const destination = openDestination(order.outside);
  try {
    if (destination.name !== undefined && destination.isFolder) {
      const message = `write ${order.outside}: no such folder`;
      const details = { path: order.outside };
      throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', message, { details });
    }
    const usedIn = () => new Set<string>();
    await placeOnHost(source, destination, { content, report, budget, pace, usedIn });
  } finally {
    destination.close();
  }
  return report;
}

/** Writes to standard output. The pipe blocks until its reader has taken the bytes. */
async function writeOut(bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += await new Promise<number>((resolve, reject) => {
      write(STDOUT, bytes, done, bytes.length - done, null, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }
}

const MOST_NAMES = 1_000;

/** For completion: writes the first 1,000 names of a folder, each with a NUL after it; names of folders end with a slash. */
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
