/** The cgroup below which every task of an installation lives. Two installations never share one. */
import type { CgroupDriver } from '../cgroup/cgroup-driver.ts';
import { isTenantName, type TaskId, type TenantName } from '../core/ids.ts';
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

/** Whose task it is, as its cgroup tells, for when its record does not. Undefined: nobody's, or it has no cgroup. */
export function findTenant(
  cgroups: CgroupDriver,
  layout: Pick<Layout, 'root'>,
  id: TaskId,
): TenantName | undefined {
  const groups = cgroups.children(cgroupParent(layout)).filter((name) => name.startsWith('_'));
  return groups
    .map((name) => name.slice(1))
    .filter(isTenantName)
    .find((tenant) => cgroups.existing(taskCgroup(layout, id, tenant)).length > 0);
}

/** Of all tasks of a tenant. No task's own is called so: a task id does not begin with `_`. */
export const tenantCgroup = (layout: Pick<Layout, 'root'>, tenant: TenantName) =>
  `${cgroupParent(layout)}/_${tenant}`;

export const taskCgroup = (layout: Pick<Layout, 'root'>, id: TaskId, tenant?: TenantName) =>
  `${tenant === undefined ? cgroupParent(layout) : tenantCgroup(layout, tenant)}/${id}`;
