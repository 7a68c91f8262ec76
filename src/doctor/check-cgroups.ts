/** Checks whether cgroups can limit a task and report its usage. */
import { existsSync, readdirSync } from 'node:fs';
import type { CgroupDriver } from '../cgroup/cgroup-driver.ts';
import { hierarchiesOf } from '../cgroup/open-cgroup-driver.ts';
import type { MountEntry } from '../sys/mountinfo.ts';
import { type Check, failed, optional, passed, required, warned } from './check.ts';

const NEEDED = ['memory', 'cpu', 'pids'];
const CGROUP_ROOT = '/sys/fs/cgroup';

/** Checks the controllers that limit a task, and those that only measure. Pure. */
export function checkControllers(driver: CgroupDriver): Check {
  const subject = required('cgroup controllers');
  const message = `cgroup v${driver.version} with ${driver.controllers.join(', ') || 'no controllers'}`;
  const missing = NEEDED.filter((name) => !driver.controllers.includes(name));
  if (missing.length > 0) {
    const hint = `enable ${missing.join(', ')} (kernel parameter cgroup_enable=, or cgroup.subtree_control)`;
    return failed(subject, `${message}: ${missing.join(', ')} missing`, hint);
  }
  const meters = driver.version === 1 ? ['cpuacct', 'blkio'] : ['io'];
  const absent = meters.filter((name) => !driver.controllers.includes(name));
  if (absent.length === 0) return passed(subject, message);
  const hint = 'enable these controllers, or expect null for part of the usage in results';
  return warned(subject, `${message}: ${absent.join(', ')} missing`, hint);
}

/** Checks whether swap counts towards a task's memory limit. Some kernels do that only if a kernel parameter says so. */
export function checkSwapLimit(driver: CgroupDriver, mounts: readonly MountEntry[]): Check {
  const subject = optional('swap limit');
  return limitsSwap(driver, mounts)
    ? passed(subject, "swap counts into a task's memory limit")
    : warned(
        subject,
        'a task may use swap beyond its memory limit',
        'boot with the kernel parameter swapaccount=1, or turn swap off',
      );
}

function limitsSwap(driver: CgroupDriver, mounts: readonly MountEntry[]): boolean {
  if (driver.version === 1) {
    const memory = hierarchiesOf(mounts).find(({ controllers }) => controllers.includes('memory'));
    return existsSync(`${memory?.mountPoint}/memory.memsw.limit_in_bytes`);
  }
  // The root cgroup of v2 has no such file, but every child has one.
  return readdirSync(CGROUP_ROOT, { withFileTypes: true }).some(
    (entry) => entry.isDirectory() && existsSync(`${CGROUP_ROOT}/${entry.name}/memory.swap.max`),
  );
}
