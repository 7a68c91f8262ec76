/** Assembles one overlay from layers: cloned and idmapped as detached mounts where the kernel can, attached briefly where not. */
import { chownSync } from 'node:fs';
import type { IdRange, LayerSource, OverlayMount } from '../core/mount.ts';
import { loopMountLayer } from '../layers/loop-mount-layer.ts';
import { openLayerFile } from '../layers/open-layer-file.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { needsLoopDevice } from '../sys/linux-mounts.ts';
import { type Fd, MOUNT_ATTR, type System, SystemError } from '../sys/system.ts';

/** Root of the task, as the host sees it. */
export interface RootfsOwner {
  readonly ids: IdRange;
  /** The slot's pinned user namespace. */
  readonly userNamespaceFd: Fd;
}

export interface MountOverlayOptions {
  /** Null: the task shares the host's user namespace, nothing is mapped. */
  readonly owner: RootfsOwner | null;
  /** Whether overlayfs takes lowers that are attached nowhere (about Linux 6.15). Default: tried once, then remembered. */
  readonly detachedLowers?: boolean;
}

/**
 * `metacopy` and `redirect_dir` would let a crafted upper name files of the layers below; `index` and `xino` cost and
 * serve NFS only. Never `userxattr`: the layers' whiteouts are `trusted.overlay.*`.
 */
const FIXED_OPTIONS = {
  metacopy: 'off',
  redirect_dir: 'nofollow',
  index: 'off',
  xino: 'off',
} as const;

/** Learnt from the first overlay of this process. */
let kernelTakesDetachedLowers: boolean | undefined;

/** Mounts the overlay at its target (made when missing). Nothing else stays attached, whether it succeeds or throws. */
export function mountOverlay(
  system: System,
  mount: OverlayMount,
  options: MountOverlayOptions,
): void {
  const known = options.detachedLowers ?? kernelTakesDetachedLowers;
  if (known !== undefined) {
    assembleOverlay(system, mount, { ...options, detachedLowers: known });
    return;
  }
  try {
    assembleOverlay(system, mount, { ...options, detachedLowers: true });
    kernelTakesDetachedLowers = true;
  } catch (error) {
    if (!(error instanceof SystemError && error.code === 'EINVAL')) throw error;
    assembleOverlay(system, mount, { ...options, detachedLowers: false });
    kernelTakesDetachedLowers = false;
  }
}

function assembleOverlay(
  system: System,
  mount: OverlayMount,
  options: Required<MountOverlayOptions>,
): void {
  const { upper, work } = makeScratch(mount, options.owner);
  ensureDirectorySync(mount.target, 0o755);
  const opened: Fd[] = [];
  const attached: string[] = [];
  try {
    const context = keep(opened, system.fsOpen('overlay'));
    for (const [index, layer] of [...mount.layers].reverse().entries()) {
      const place = `${mount.scratch}/lower-${index}`;
      const lower = keep(opened, openLower(system, layer, { place, owner: options.owner }));
      if (options.detachedLowers) {
        system.fsConfigFd(context, 'lowerdir+', lower);
      } else {
        ensureDirectorySync(place, 0o700);
        system.attachMount(lower, place);
        attached.push(place);
        system.fsConfigString(context, 'lowerdir+', place);
      }
    }
    configureOverlay(system, context, { upper, work });
    const made = keep(opened, system.fsMount(context, MOUNT_ATTR.NODEV));
    system.attachMount(made, mount.target);
  } finally {
    for (const place of attached) system.detachMount(place);
    for (const fd of opened) system.close(fd);
  }
}

function configureOverlay(
  system: System,
  context: Fd,
  { upper, work }: { readonly upper: string; readonly work: string },
): void {
  system.fsConfigString(context, 'upperdir', upper);
  system.fsConfigString(context, 'workdir', work);
  for (const [key, value] of Object.entries(FIXED_OPTIONS)) {
    system.fsConfigString(context, key, value);
  }
  // The upper is thrown away with the task: nothing in it needs to reach the disk.
  system.fsConfigFlag(context, 'volatile');
  createOrExplain(system, context);
}

function keep(opened: Fd[], fd: Fd): Fd {
  opened.push(fd);
  return fd;
}

function openLower(
  system: System,
  layer: LayerSource,
  { place, owner }: { readonly place: string; readonly owner: RootfsOwner | null },
): Fd {
  const fd =
    layer.kind === 'file' ? openFile(system, layer.path, place) : system.openTreeClone(layer.path);
  try {
    if (owner !== null) system.idmapMount(fd, owner.userNamespaceFd);
  } catch (error) {
    system.close(fd);
    throw error;
  }
  return fd;
}

function openFile(system: System, file: string, place: string): Fd {
  try {
    return openLayerFile(system, file);
  } catch (error) {
    if (!needsLoopDevice(error)) throw error;
    return openThroughLoop(system, file, place);
  }
}

/** For kernels that mount EROFS from block devices alone. */
function openThroughLoop(system: System, file: string, place: string): Fd {
  ensureDirectorySync(place, 0o700);
  loopMountLayer(file, place);
  try {
    return system.openTreeClone(place);
  } finally {
    system.detachMount(place);
  }
}

/** The upper's root is the task's root directory: it belongs to the task's root user. */
function makeScratch(mount: OverlayMount, owner: RootfsOwner | null) {
  const upper = `${mount.scratch}/upper`;
  const work = `${mount.scratch}/work`;
  ensureDirectorySync(upper, 0o755);
  ensureDirectorySync(work, 0o700);
  if (owner !== null) chownSync(upper, owner.ids.base, owner.ids.base);
  return { upper, work };
}

function createOrExplain(system: System, context: Fd): void {
  try {
    system.fsConfigCreate(context);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const log = system.fsContextLog(context);
    throw new SystemError('mount overlay', error.errno, error.code, log === '' ? undefined : log);
  }
}
