/** The cgroup below which every task of an installation lives. Two installations never share one. */
import { createHash } from 'node:crypto';
import type { TaskId } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';

const known = new Map<string, string>();

/** `/stackshim-<first 8 hex digits of the root folder's sha256>`. It stays, empty, between tasks. */
export function cgroupParent(layout: Pick<Layout, 'root'>): string {
  const before = known.get(layout.root);
  if (before !== undefined) return before;
  const hash = createHash('sha256').update(layout.root).digest('hex');
  const parent = `/stackshim-${hash.slice(0, 8)}`;
  known.set(layout.root, parent);
  return parent;
}

export const taskCgroup = (layout: Pick<Layout, 'root'>, id: TaskId) =>
  `${cgroupParent(layout)}/${id}`;
