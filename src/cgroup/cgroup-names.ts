/** The cgroup below which every task of an installation lives. Two installations never share one. */

import { isTenantName, type TaskId, type TenantName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import type { CgroupDriver } from './cgroup-driver.ts';

const TENANT_PREFIX = 'tenant-';

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
  return cgroups
    .children(cgroupParent(layout))
    .filter((name) => name.startsWith(TENANT_PREFIX))
    .map((name) => name.slice(TENANT_PREFIX.length))
    .filter(isTenantName)
    .find((tenant) => cgroups.existing(taskCgroup(layout, id, tenant)).length > 0);
}

/**
 * Of all tasks of a tenant. The words before the names keep tenants and tasks apart, and both from the kernel's own files, which have
 * no `-`: a task may well be called `tasks` or `cgroup.procs`.
 */
export const tenantCgroup = (layout: Pick<Layout, 'root'>, tenant: TenantName) =>
  `${cgroupParent(layout)}/${TENANT_PREFIX}${tenant}`;

export const taskCgroup = (layout: Pick<Layout, 'root'>, id: TaskId, tenant?: TenantName) =>
  `${tenant === undefined ? cgroupParent(layout) : tenantCgroup(layout, tenant)}/task-${id}`;
