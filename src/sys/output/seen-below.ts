/** Finds which folders contain which, wherever their filesystem is mounted on the host. */
import { realpathSync } from 'node:fs';
import { innermostOf, type MountEntry, readMounts } from '../mountinfo.ts';

/** The first of `sources` that is, or contains, one of `folders`, wherever their filesystem is mounted. Skips missing sources. */
export function sourceAbove(
  sources: readonly string[],
  folders: readonly string[],
): string | undefined {
  const mounts = readMounts();
  const inner = folders.map((folder) => toInnerPath(folder, mounts));
  return sources.find((source) => {
    const path = realPathOrNothing(source);
    const above = path === undefined ? undefined : toInnerPath(path, mounts);
    return above !== undefined && inner.some((one) => one !== undefined && isBelow(one, above));
  });
}

/** A folder's path within its filesystem. */
interface InnerPath {
  readonly device: string;
  readonly path: string;
}

function toInnerPath(path: string, mounts: readonly MountEntry[]): InnerPath | undefined {
  const best = innermostOf(mounts.filter(({ mountPoint }) => startsWithFolder(path, mountPoint)));
  if (best === undefined) return undefined;
  const rest = best.mountPoint === '/' ? path : path.slice(best.mountPoint.length);
  const joined = `${best.root === '/' ? '' : best.root}${rest === '/' ? '' : rest}`;
  return { device: best.device, path: joined === '' ? '/' : joined };
}

const isBelow = (inner: InnerPath, above: InnerPath) =>
  inner.device === above.device && startsWithFolder(inner.path, above.path);

const startsWithFolder = (path: string, folder: string) =>
  folder === '/' || path === folder || path.startsWith(`${folder}/`);

function realPathOrNothing(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    // Skip a missing source here: the task is refused for it later, with the field's name.
    return undefined;
  }
}
