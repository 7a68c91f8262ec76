/** Restricts cgroup paths to the cgroups of stackshim's installations. */
import { StackshimError } from '../core/errors.ts';

const CGROUPS_PATH = /^\/stackshim-[A-Za-z0-9_.-]+(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9_.-]+)*$/;
const SHARED_PARENT = /^\/[^/]+(?:\/tenant-[^/]+)?$/;

/** The folder of a cgroup in one hierarchy. Throws ERR_STACKSHIM_INTERNAL for any other path: no caller builds one. */
export function cgroupDirectory(hierarchyRoot: string, cgroupsPath: string): string {
  if (!CGROUPS_PATH.test(cgroupsPath)) {
    throw new StackshimError(
      'ERR_STACKSHIM_INTERNAL',
      `cgroup path ${JSON.stringify(cgroupsPath)}: not of the form /stackshim-…/…`,
    );
  }
  return hierarchyRoot + cgroupsPath;
}

/** Whether a path names a parent that several tasks share: an installation's, or a tenant's. */
export function isSharedParent(cgroupsPath: string): boolean {
  return SHARED_PARENT.test(cgroupsPath);
}
