/**
 * Builds and parses the names of all cgroups of stackshim: `/stackshim-<hash>[/tenant-<name>]/task-<id>` for a task,
 * `/stackshim-<hash>/build-<n>` for a build. The prefixes keep tenants, tasks and builds apart from each other and from the kernel's files, which
 * contain no `-`: a task may be called `tasks` or `cgroup.procs`.
 */
import { StackshimError } from '../core/errors.ts';
import { isTenantName, type TaskId, type TenantName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import type { CgroupDriver } from './cgroup-driver.ts';

type Root = Pick<Layout, 'root'>;

const TENANT_PREFIX = 'tenant-';

const ANY_CGROUP = /^\/stackshim-[A-Za-z0-9_.-]+(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9_.-]+)*$/;
const SHARED_PARENT = /^\/[^/]+(?:\/tenant-[^/]+)?$/;
const TASK_CGROUP = /^\/stackshim-[^/]+\/(?:tenant-[^/]+\/)?task-[^/]+$/;

/**
 * The parent of an installation's cgroups, its own: `/stackshim-<8 hex digits of the root folder's FNV-1a>`. It stays, empty, between tasks. A
 * simple hash is enough, because an operator chooses the roots, and saves the executable from loading a crypto library.
 */
export function cgroupParent({ root }: Root): string {
  let hash = 0x811c_9dc5;
  for (const byte of new TextEncoder().encode(root)) {
    hash = Math.imul(hash ^ byte, 0x0100_0193);
  }
  return `/stackshim-${(hash >>> 0).toString(16).padStart(8, '0')}`;
}

/** The cgroup of a tenant's tasks. */
export const tenantCgroup = (layout: Root, tenant: TenantName) =>
  `${cgroupParent(layout)}/${TENANT_PREFIX}${tenant}`;

export const taskCgroup = (layout: Root, id: TaskId, tenant?: TenantName) =>
  `${tenant === undefined ? cgroupParent(layout) : tenantCgroup(layout, tenant)}/task-${id}`;

/** The cgroup of a build's steps. */
export const buildCgroup = (layout: Root, home: number) => `${cgroupParent(layout)}/build-${home}`;

/** Whether a path names a task's cgroup, of any installation. */
export const isTaskCgroup = (cgroupsPath: string): boolean => TASK_CGROUP.test(cgroupsPath);

/** Whether a path names a parent that tasks share: an installation's or a tenant's. */
export const isSharedParent = (cgroupsPath: string): boolean => SHARED_PARENT.test(cgroupsPath);

/** A cgroup's folder in one hierarchy. Throws ERR_STACKSHIM_INTERNAL for any other path, which no caller builds. */
export function cgroupDirectory(hierarchyRoot: string, cgroupsPath: string): string {
  if (!ANY_CGROUP.test(cgroupsPath)) {
    const message = `cgroup path ${JSON.stringify(cgroupsPath)}: not of the form /stackshim-…/…`;
    throw new StackshimError('ERR_STACKSHIM_INTERNAL', message);
  }
  return hierarchyRoot + cgroupsPath;
}

/** The tenant of a task by its cgroup, for a task without a readable record. Undefined if it has no tenant or no cgroup. */
export function findTenant(
  cgroups: CgroupDriver,
  layout: Root,
  id: TaskId,
): TenantName | undefined {
  return cgroups
    .children(cgroupParent(layout))
    .filter((name) => name.startsWith(TENANT_PREFIX))
    .map((name) => name.slice(TENANT_PREFIX.length))
    .filter(isTenantName)
    .find((tenant) => cgroups.existing(taskCgroup(layout, id, tenant)).length > 0);
}
