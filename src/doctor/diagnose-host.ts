/** `stackshim doctor`: what this host can and cannot guarantee. */
import { readFileSync } from 'node:fs';
import { openCgroupDriver } from '../cgroup/open-cgroup-driver.ts';
import { unlessMissing } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { RUNTIME_NAMES } from '../runtime/drivers/driver-of.ts';
import { readHostFacts } from '../sys/host-facts.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import { type MountEntry, readMounts } from '../sys/mountinfo.ts';
import type { System } from '../sys/system.ts';
import { type Check, failed, ifRoot, optional, required, unlessRefused } from './check.ts';
import { checkBindSources } from './check-bind-sources.ts';
import { checkControllers, checkSwapLimit } from './check-cgroups.ts';
import { checkDiskLimit, DISK_LIMIT } from './check-disk-limit.ts';
import {
  checkCorePattern,
  checkFilesystem,
  checkFilterPool,
  checkHardLimits,
  checkKernelVersion,
  checkOpenFiles,
  checkRoot,
  checkSeccomp,
  checkUserNamespaces,
} from './check-kernel.ts';
import { checkRuntime, checkTools } from './check-programs.ts';
import { checkSocketQueues, hasTcpDiagnosis } from './check-sockets.ts';
import { checkStacks } from './check-stacks.ts';
import {
  checkFolders,
  checkFormats,
  checkFreeSpace,
  checkPolicy,
  checkRunFolder,
  checkStoredFiles,
} from './check-storage.ts';
import { probeMounts } from './probe-mounts.ts';

/** The findings of `doctor`. */
export interface Diagnosis {
  readonly checks: readonly Check[];
  /** False if a required check failed. */
  readonly canRunTasks: boolean;
}

/**
 * Examines the host and tries what tasks need; leaves nothing behind. Meant for root: other users get only the findings that need no root.
 * Never rejects for a fault of the host: a fault is a finding.
 */
export async function diagnoseHost(
  layout: Layout,
  system: System = linuxSystem,
): Promise<Diagnosis> {
  const mounts = readMounts();
  const folders = await checkFolders(layout);
  const checks = [
    ...checkKernel(),
    ...(await checkSockets(system)),
    ...(await checkCgroups(mounts)),
    ...(await checkPrograms(layout, mounts)),
    folders,
    // Root must not write where another user could have set a trap.
    ...(folders.status === 'ok' ? await checkPlaces(system, layout) : []),
    await checkPolicy(layout),
    await checkBindSources(layout, mounts),
    await checkStacks(layout, new Date()),
  ];
  return { checks, canRunTasks: !checks.some((c) => c.required && c.status === 'fail') };
}

async function checkPlaces(system: System, layout: Layout): Promise<readonly Check[]> {
  const ofDisk = optional(DISK_LIMIT.name);
  return [
    checkRunFolder(layout),
    checkStoredFiles(layout),
    await checkFormats(layout),
    await ifRoot(optional('mounts'), 'not tried: only root can mount layers', () =>
      probeMounts(system, layout),
    ),
    checkFreeSpace(layout),
    await ifRoot(ofDisk, 'not tried: only root can mount volumes', () =>
      checkDiskLimit(system, layout),
    ),
  ].flat();
}

function checkKernel(): readonly Check[] {
  const facts = readHostFacts();
  const filesystems = readFileSync('/proc/filesystems', 'utf8');
  const modules = readOptional(`/lib/modules/${facts.kernelRelease}/modules.dep`) ?? '';
  return [
    checkRoot(facts),
    checkKernelVersion(facts),
    checkFilesystem('overlay', filesystems, modules),
    checkFilesystem('erofs', filesystems, modules),
    checkUserNamespaces(readOptional('/proc/sys/user/max_user_namespaces')),
    checkSeccomp(readOptional('/proc/sys/kernel/seccomp/actions_avail')),
    checkFilterPool(
      readIfRoot('/proc/sys/net/core/bpf_jit_enable'),
      readIfRoot('/proc/sys/net/core/bpf_jit_limit'),
    ),
    checkOpenFiles(readOptional('/proc/sys/fs/file-max'), facts.memoryBytes),
    checkHardLimits(facts),
    checkCorePattern(readOptional('/proc/sys/kernel/core_pattern')),
  ];
}

async function checkSockets(system: System): Promise<readonly Check[]> {
  const facts = readHostFacts();
  // Other users cannot read enough.
  if (!facts.isRoot) return [];
  const settings = {
    receiveMax: readOptional('/proc/sys/net/core/rmem_max'),
    allowsStamps: readOptional('/proc/sys/net/core/tstamp_allow_data'),
    hasDiagnosis: await hasTcpDiagnosis(system),
  };
  return [checkSocketQueues(settings, facts)];
}

const checkCgroups = (mounts: readonly MountEntry[]): Promise<readonly Check[]> =>
  unlessRefused<readonly Check[]>(
    () => {
      const driver = openCgroupDriver(mounts);
      return [checkControllers(driver), checkSwapLimit(driver, mounts)];
    },
    ({ message }) => [
      failed(required('cgroup controllers'), message, 'mount cgroup2 at /sys/fs/cgroup'),
    ],
  );

async function checkPrograms(
  layout: Layout,
  mounts: readonly MountEntry[],
): Promise<readonly Check[]> {
  const isHybrid = mounts.some(({ mountPoint }) => mountPoint === '/sys/fs/cgroup/unified');
  const checks: Check[] = [];
  for (const name of RUNTIME_NAMES) checks.push(await checkRuntime(name, layout, isHybrid));
  return [...checks, ...(await checkTools())];
}

const readIfRoot = (path: string) => (readHostFacts().isRoot ? readOptional(path) : undefined);

const readOptional = (path: string) => unlessMissing(() => readFileSync(path, 'utf8'));
