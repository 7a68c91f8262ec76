/** The cgroup that contains all tasks of an installation. Two installations never share one. */

import { isTenantName, type TaskId, type TenantName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import type { CgroupDriver } from './cgroup-driver.ts';

const TENANT_PREFIX = 'tenant-';

/**
 * `/stackshim-<8 hex digits of the root folder's FNV-1a>`. The cgroup stays between tasks, empty. A simple hash is enough, because an
 * operator chooses the roots; and it saves the executable from loading a crypto library.
 */
export function cgroupParent({ root }: Pick<Layout, 'root'>): string {
  let hash = 0x811c_9dc5;
  for (const byte of new TextEncoder().encode(root)) {
    hash = Math.imul(hash ^ byte, 0x0100_0193);
  }
  return `/stackshim-${(hash >>> 0).toString(16).padStart(8, '0')}`;
}

/** The tenant of a task according to its cgroup, for a task without a readable record. Undefined: it has no tenant or no cgroup. */
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
 * The cgroup of all tasks of a tenant. The prefixes keep the names of tenants and tasks apart from each other and from the kernel's own
 * files, which contain no `-`: a task may be called `tasks` or `cgroup.procs`.
 */
export const tenantCgroup = (layout: Pick<Layout, 'root'>, tenant: TenantName) =>
  `${cgroupParent(layout)}/${TENANT_PREFIX}${tenant}`;

export const taskCgroup = (layout: Pick<Layout, 'root'>, id: TaskId, tenant?: TenantName) =>
  `${tenant === undefined ? cgroupParent(layout) : tenantCgroup(layout, tenant)}/task-${id}`;
