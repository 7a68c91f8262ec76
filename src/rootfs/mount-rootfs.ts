/** Carries out a {@link RootfsPlan}: the interpreter of mounts. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { BindMount, Mount } from '../core/mount.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { MOUNT_ATTR, type System } from '../sys/system.ts';
import { mountDevices } from './mount-devices.ts';
import { type MountOverlayOptions, mountOverlay } from './mount-overlay.ts';
import type { RootfsPlan } from './plan-rootfs.ts';

/**
 * Makes every mount of the plan, in order. When one fails, those made before it are detached, then the error is thrown.
 * The caller detaches them with {@link detachRootfs} once the runtime has created the container.
 */
export function mountRootfs(system: System, plan: RootfsPlan, options: MountOverlayOptions): void {
  try {
    for (const mount of plan.mounts) mountOne(system, mount, options);
  } catch (error) {
    detachRootfs(system, plan);
    throw error;
  }
}

/** Detaches every mount of the plan from the host's namespace, last first; a second call does nothing. */
export function detachRootfs(system: System, plan: RootfsPlan): void {
  for (const mount of [...plan.mounts].reverse()) system.detachMount(mount.target);
}

function mountOne(system: System, mount: Mount, options: MountOverlayOptions): void {
  if (mount.type === 'overlay') mountOverlay(system, mount, options);
  else if (mount.type === 'bind') mountBind(system, mount);
  else mountDevices(system, mount);
}

function mountBind(system: System, mount: BindMount): void {
  const clone = mount.alone
    ? system.openTreeClone(mount.source)
    : system.openRealTreeClone(mount.source);
  try {
    const attributes =
      MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | (mount.readOnly ? MOUNT_ATTR.RDONLY : 0);
    system.restrictMount(clone, attributes, { recursive: true });
    makeTarget(mount.target, fstatSync(clone).isDirectory());
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
