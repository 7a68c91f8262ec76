/** Copies from a task to a folder of the host, or to a tar. */
import { write } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { openDestination, ownerOfFolder } from '../outputs/destination.ts';
import { parsePath } from '../outputs/find-sources.ts';
import { FolderTarget, type TargetFolder } from '../outputs/folder-target.ts';
import { OutputReport } from '../outputs/output-report.ts';
import { openPlace, placeSources, type SourcePlace } from '../outputs/place-sources.ts';
import { TarTarget } from '../outputs/tar-target.ts';
import { STREAM } from './copy-order.ts';
import type { CopyWork } from './copy-work.ts';

const STDOUT = 1;

export async function copyOut(work: CopyWork): Promise<OutputReport> {
  const { order, tree } = work;
  const report = new OutputReport(order.inside, order.outside);
  const pattern = parsePath(order.inside, '/');
  const [first, ...rest] = pattern.names;
  const source: SourcePlace =
    tree.code !== undefined && first === 'task'
      ? { root: tree.code, at: '/task', pattern: { ...pattern, names: rest } }
      : { root: tree.root, at: '', pattern };
  if (order.outside === STREAM) await toTar(source, work, report);
  else await toFolder(source, work, report);
  return report;
}

async function toTar(source: SourcePlace, work: CopyWork, report: OutputReport): Promise<void> {
  const { content, budget, pace, tree } = work;
  const target = new TarTarget({ content, write: writeOut, idBase: tree.idBase });
  const place = { folder: '', isFolder: true, used: new Set<string>() };
  await placeSources(source, place, { target, report, budget, pace });
  if (report.hasFound) await target.end();
}

/** Writes to standard output. The pipe blocks until its reader has taken the bytes. */
export async function writeOut(bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += await new Promise<number>((resolve, reject) => {
      write(STDOUT, bytes, done, bytes.length - done, null, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }
}

async function toFolder(source: SourcePlace, work: CopyWork, report: OutputReport): Promise<void> {
  const { order, content, budget, pace } = work;
  const destination = openDestination(order.outside);
  try {
    if (destination.name !== undefined && destination.isFolder) {
      throw new StackshimError(
        'ERR_STACKSHIM_INPUT_NOT_FOUND',
        `write ${order.outside}: no such folder`,
        { details: { path: order.outside } },
      );
    }
    const { folder, name, close } = openPlace(destination);
    const target = new FolderTarget({
      content,
      owner: ownerOfFolder(folder.fd),
      replaces: 'own',
    });
    const place = { folder, name, isFolder: false, used: new Set<string>() };
    try {
      await placeSources<TargetFolder>(source, place, { target, report, budget, pace });
    } finally {
      target.close();
      close();
    }
  } finally {
    destination.close();
  }
}
