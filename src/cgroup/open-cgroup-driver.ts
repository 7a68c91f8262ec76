/** Chooses the cgroup driver for the mounted hierarchies. */
import { StackshimError } from '../core/errors.ts';
import { type MountEntry, readMountsWith } from '../sys/mountinfo.ts';
import type { CgroupDriver } from './cgroup-driver.ts';
import { type CgroupHierarchy, cgroupV1 } from './cgroup-v1.ts';
import { cgroupV2 } from './cgroup-v2.ts';

const CGROUP_ROOT = '/sys/fs/cgroup';
const controllerNames: ReadonlySet<string> = new Set(
  'cpu cpuacct cpuset memory devices freezer blkio pids net_cls net_prio perf_event hugetlb rdma misc'.split(
    ' ',
  ),
);

let opened: CgroupDriver | undefined;

/**
 * The driver for this host: v2 if /sys/fs/cgroup is a cgroup2, else v1 (also on a hybrid host, whose controllers are there). Without `mounts`,
 * reads the host's mounts once per process. Throws ERR_STACKSHIM_HOST_UNSUPPORTED if no cgroups are mounted.
 */
export function openCgroupDriver(mounts?: readonly MountEntry[]): CgroupDriver {
  if (mounts !== undefined) return pickDriver(mounts);
  opened ??= pickDriver(readMountsWith('cgroup'));
  return opened;
}

function pickDriver(mounts: readonly MountEntry[]): CgroupDriver {
  const top = mounts.findLast(({ mountPoint }) => mountPoint === CGROUP_ROOT);
  if (top?.filesystem === 'cgroup2') return cgroupV2(CGROUP_ROOT);
  const hierarchies = hierarchiesOf(mounts);
  if (hierarchies.some(({ controllers }) => controllers.length > 0)) return cgroupV1(hierarchies);
  const message = `open cgroups: no cgroup filesystem is mounted at ${CGROUP_ROOT}`;
  throw new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', message);
}

/** The hierarchies below /sys/fs/cgroup, each once, even if mounted several times. */
export function hierarchiesOf(mounts: readonly MountEntry[]): readonly CgroupHierarchy[] {
  const hierarchies = new Map<string, CgroupHierarchy>();
  for (const mount of mounts) {
    if (!mount.filesystem.startsWith('cgroup')) continue;
    if (!mount.mountPoint.startsWith(`${CGROUP_ROOT}/`) || hierarchies.has(mount.device)) continue;
    const controllers = mount.superOptions.filter((option) => controllerNames.has(option));
    hierarchies.set(mount.device, { mountPoint: mount.mountPoint, controllers });
  }
  return [...hierarchies.values()];
}
