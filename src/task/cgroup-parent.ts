/** The cgroup below which every task of an installation lives. Two installations never share one. */
import type { TaskId } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';

/**
 * `/stackshim-<8 hex digits of the root folder's FNV-1a>`. It stays, empty, between tasks.
 * A hash of this kind is enough: an operator chooses the roots, and the executable need not load a crypto library for it.
 */
export function cgroupParent({ root }: Pick<Layout, 'root'>): string {
  let hash = 0x811c_9dc5;
  for (const byte of new TextEncoder().encode(root)) {
    hash = Math.imul(hash ^ byte, 0x0100_0193);
  }
  return `/stackshim-${(hash >>> 0).toString(16).padStart(8, '0')}`;
}

export const taskCgroup = (layout: Pick<Layout, 'root'>, id: TaskId) =>
  `${cgroupParent(layout)}/${id}`;
