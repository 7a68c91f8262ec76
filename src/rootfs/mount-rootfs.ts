/** Carries out a {@link RootfsPlan}: the interpreter of mounts. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import type { BindMount, Mount } from '../core/mount.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { type Fd, MOUNT_ATTR, type System } from '../sys/system.ts';
import { mountDevices } from './mount-devices.ts';
import { type MountOverlayOptions, mountOverlay } from './mount-overlay.ts';
import type { RootfsPlan } from './plan-rootfs.ts';

export interface MountRootfsOptions extends MountOverlayOptions {
  /** Maps the owner of a bind's source in the detached mount of it. Required where the plan has a bind whose owner is mapped. */
  readonly mapOwner?: (clone: Fd, bind: BindMount, source: Stats) => Promise<void>;
}

/**
 * Makes every mount of the plan, in order. When one fails, those made before it are detached, then the error is thrown.
 * The caller detaches them with {@link detachRootfs} once the runtime has created the container.
 */
export async function mountRootfs(
  system: System,
  plan: RootfsPlan,
  options: MountRootfsOptions,
): Promise<void> {
  try {
    for (const mount of plan.mounts) await mountOne(system, mount, options);
  } catch (error) {
    detachRootfs(system, plan);
    throw error;
  }
}

/** Detaches every mount of the plan from the host's mount namespace, last first; a second call does nothing. */
export function detachRootfs(system: System, plan: RootfsPlan): void {
  for (const mount of [...plan.mounts].reverse()) detachTarget(system, mount.target);
}

/**
 * Detaches everything that is mounted at a target, and removes the target. The kernel then detaches the copies in other mount
 * namespaces as well: any local user may make one, which would keep the task's disk space in use.
 */
export function detachTarget(system: System, target: string): void {
  while (system.detachMount(target));
  try {
    rmdirSync(target);
  } catch (error) {
    const code = errnoCodeOf(error);
    if (code === 'ENOTDIR') unlinkSync(target);
    // ENOTEMPTY: a runtime made something in it; it goes with the task's directory.
    else if (code !== 'ENOENT' && code !== 'ENOTEMPTY') throw error;
  }
}

function mountOne(
  system: System,
  mount: Mount,
  options: MountRootfsOptions,
): Promise<void> | undefined {
  if (mount.type === 'bind') return mountBind(system, mount, options);
  if (mount.type === 'overlay') mountOverlay(system, mount, options);
  else mountDevices(system, mount, options.owner);
  return undefined;
}

async function mountBind(
  system: System,
  mount: BindMount,
  { mapOwner }: MountRootfsOptions,
): Promise<void> {
  const clone = mount.alone
    ? system.openTreeClone(mount.source)
    : system.openRealTreeClone(mount.source);
  try {
    const attributes =
      MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | (mount.readOnly ? MOUNT_ATTR.RDONLY : 0);
    system.restrictMount(clone, attributes, { recursive: true });
    // Of what was opened: the path may lead elsewhere by now.
    const source = fstatSync(clone);
    if (mount.ownerMapped) await mapOwner?.(clone, mount, source);
    makeTarget(mount.target, source.isDirectory());
    system.attachMount(clone, mount.target);
  } finally {
    system.close(clone);
  }
}

/** A folder is mounted on a folder, anything else on a file. */
function makeTarget(target: string, isDirectory: boolean): void {
  const parent = target.slice(0, target.lastIndexOf('/'));
  ensureDirectorySync(isDirectory ? target : parent, 0o711);
  if (isDirectory) return;
  const flags = constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW;
  closeSync(openSync(target, flags, 0o600));
}
