/** Checks whether other users of the host can run a setuid file that a task leaves in a bind. */
import { realpathSync } from 'node:fs';
import type { Layout } from '../core/layout.ts';
import { DEFAULT_POLICY } from '../spec/policy.ts';
import { findFolderOfRoot } from '../sys/closed-folder.ts';
import type { MountEntry } from '../sys/mountinfo.ts';
import { type Check, optional, passed, warned } from './check.ts';
import { readPolicyOrDefault } from './check-storage.ts';

const subject = optional('bind sources');

export async function checkBindSources(
  layout: Layout,
  mounts: readonly MountEntry[],
): Promise<Check> {
  const { bindSources } = (await readPolicyOrDefault(layout)).allow;
  const isUsual = bindSources === DEFAULT_POLICY.allow.bindSources;
  return judgeBindSources(isUsual ? undefined : bindSources.map(realPath), mounts);
}

/** Resolves links. A source that does not exist yet is judged by the directories above it. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/**
 * Judges sources by the mount table. `sources` have their links resolved; undefined if the policy names none. `findClosed` finds a
 * directory above a source that only root may enter.
 */
export function judgeBindSources(
  sources: readonly string[] | undefined,
  mounts: readonly MountEntry[],
  findClosed: (path: string) => string | undefined = findFolderOfRoot,
): Check {
  if (sources === undefined) {
    return passed(subject, 'the policy restricts no bind sources: tasks may bind any folder');
  }
  const open = sources.filter(
    (source) =>
      mountsOf(source, mounts).some(({ options }) => !options.includes('nosuid')) &&
      findClosed(source) === undefined,
  );
  if (open.length === 0)
    return passed(subject, 'setuid files in these folders have no effect on the host');
  return warned(
    subject,
    `setuid files of tasks in these folders run with the rights of their owner: ${open.join(', ')}`,
    'keep these directories below a directory that only root may enter, or on filesystems that are mounted nosuid, or bind them read-only',
  );
}

const isWithin = (path: string, folder: string) =>
  path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);

/** Returns the mount that contains a directory, and the mounts below the directory. */
function mountsOf(directory: string, mounts: readonly MountEntry[]): readonly MountEntry[] {
  const lastAt = new Map(mounts.map((mount) => [mount.mountPoint, mount] as const));
  const visible = [...lastAt.values()];
  const above = visible.filter(({ mountPoint }) => isWithin(directory, mountPoint));
  const own = above.toSorted((a, b) => b.mountPoint.length - a.mountPoint.length).slice(0, 1);
  const below = visible.filter(
    ({ mountPoint }) => mountPoint !== directory && isWithin(mountPoint, directory),
  );
  return [...own, ...below];
}
