/** Copies a file or folder of the host, or a tar, into a task. The new entries belong to the task's root. */
import { closeSync, lstatSync } from 'node:fs';
import { errnoCodeOf, reasonOf, StackshimError } from '../../core/errors.ts';
import { openFolderOf, PathRefusal } from '../../sys/output/open-folder.ts';
import { entryOf, withFd } from '../../sys/paths.ts';
import type { Fd } from '../../sys/system.ts';
import { closeFd, openFolderInRoot } from '../../sys/tree-calls.ts';
import { parsePath } from '../outputs/find-sources.ts';
import { FolderTarget, type TargetFolder } from '../outputs/folder-target.ts';
import { OutputReport } from '../outputs/output-report.ts';
import { placeSources, type SourcePlace, toSourcePlace } from '../outputs/place-sources.ts';
import { STREAM } from './copy-order.ts';
import type { CopyWork } from './task-tree.ts';
import { unpackTar } from './unpack-tar.ts';

export async function copyIn(work: CopyWork): Promise<OutputReport> {
  const { order, content, budget, pace, tree } = work;
  const report = new OutputReport(order.outside, order.inside);
  const { idBase } = tree;
  const owner = idBase === 0 ? undefined : { uid: idBase, gid: idBase };
  const target = new FolderTarget({ content, owner, replaces: 'all' });
  const { folder, name } = openInside(work);
  const into: TargetFolder = { fd: folder, isNew: false };
  try {
    if (order.outside === STREAM) {
      if (name !== undefined) throw notInside(work, 'no such folder');
      report.found();
      await unpackTar(process.stdin, into, { target, budget, report });
      return report;
    }
    const source = openOutside(order.outside);
    await withFd(source.root, async () => {
      const place = { folder: into, name, isFolder: false, used: new Set<string>() };
      await placeSources(source, place, { target, report, budget, pace });
    });
    return report;
  } finally {
    target.close();
    closeFd(folder);
  }
}

/** Opens the folder in the task; `name` is the new entry in it, or undefined if the folder itself is the destination. */
function openInside(work: CopyWork): { readonly folder: Fd; readonly name: string | undefined } {
  const { order, tree } = work;
  const { root, pattern } = toSourcePlace(parsePath(order.inside, '/'), tree);
  const { names } = pattern;
  const existing = tryOpen(root, names);
  if (typeof existing === 'number') return { folder: existing, name: undefined };
  const isNew = existing !== 'EXDEV' && !order.inside.endsWith('/');
  const parent = isNew ? tryOpen(root, names.slice(0, -1)) : existing;
  if (typeof parent === 'number') return { folder: parent, name: names.at(-1) };
  const isMounted = parent === 'EXDEV';
  throw notInside(work, isMounted ? 'a mount of the task is on the way' : 'no such folder');
}

/** Opens a folder; returns the error code if there is no such folder. */
function tryOpen(root: Fd, names: readonly string[]): Fd | string {
  try {
    return openFolderInRoot(root, names.join('/') || '.');
  } catch (error) {
    const code = errnoCodeOf(error);
    if (code === undefined || code === 'EMFILE' || code === 'ENFILE') throw error;
    return code;
  }
}

const notInside = ({ order }: CopyWork, problem: string) =>
  new StackshimError(
    'ERR_STACKSHIM_INPUT_NOT_FOUND',
    `write ${order.task}:${order.inside}: ${problem}`,
    { details: { task: order.task, path: order.inside } },
  );

/** Opens the source that the caller names. Refuses links of other users on the way; links in the folder are copied as links. */
function openOutside(path: string): SourcePlace {
  const isContent = /(?:^|\/)\.\/?$/.test(path);
  try {
    const { fd, name } = openFolderOf(path);
    try {
      lstatSync(entryOf(fd, name));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    const names = [Buffer.from(name).toString('latin1')];
    return { root: fd, at: '', pattern: { names, isContent, isPattern: false } };
  } catch (error) {
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: ${reasonOf(error)}`, {
      cause: error,
      details: { path },
      hint: error instanceof PathRefusal ? error.hint : undefined,
    });
  }
}
