/** Assembles one overlay from layers: cloned and idmapped as detached mounts where the kernel can, attached briefly where not. */
import { chownSync, closeSync, constants, openSync } from 'node:fs';
import type { IdRange, LayerSource, OverlayMount } from '../core/mount.ts';
import { openLayerFile } from '../layers/open-layer-file.ts';
import { fdPath } from '../sys/fd-path.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { type Fd, MOUNT_ATTR, type System, SystemError } from '../sys/system.ts';

/** Root of the task, as the host sees it. */
export interface RootfsOwner {
  readonly ids: IdRange;
  /** The slot's pinned user namespace. */
  readonly userNamespaceFd: Fd;
}

interface Scratch {
  readonly upper: string;
  readonly work: string;
}

/** How an overlay is told its lowers; which of them a kernel takes is tried once, then remembered. */
export type LowersMode =
  /** As mounts that are attached nowhere: about Linux 6.15. */
  | 'detached'
  /** Attached while the overlay is made, one option each: Linux 6.5. */
  | 'attached'
  /** Attached as well, all in the one option string of mount(2): before that. */
  | 'joined';

export interface MountOverlayOptions {
  /** Null: the task shares the host's user namespace, nothing is mapped. */
  readonly owner: RootfsOwner | null;
  /** Default: the best that this kernel takes. */
  readonly lowers?: LowersMode;
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

/** Names an error that the kernel's own log explains. */
const EXPLAINED = 'mount overlay';

const OLDER_KERNEL = new Set(['EINVAL', 'EBADF', 'EOPNOTSUPP']);

/** Of mount(2). */
const MS_NOSUID = 2;
const MS_NODEV = 4;

const modes: readonly LowersMode[] = ['detached', 'attached', 'joined'];

/** Learnt from the first overlay of this process. */
let kernelTakes: LowersMode | undefined;

/**
 * Mounts the overlay at its target (made when missing), before it returns. Nothing else stays attached, whether it succeeds or throws.
 * Resolves when what it had opened is closed, which need not be waited for before the mount is used.
 */
export function mountOverlay(
  system: System,
  mount: OverlayMount,
  options: MountOverlayOptions,
): Promise<void> {
  const known = options.lowers ?? kernelTakes;
  if (known !== undefined) return assembleOverlay(system, mount, { ...options, lowers: known });
  for (const lowers of modes) {
    try {
      const closed = assembleOverlay(system, mount, { ...options, lowers });
      kernelTakes = lowers;
      return closed;
    } catch (error) {
      if (!isRefusedMode(error, lowers)) throw error;
    }
  }
  throw new Error('unreachable: isRefusedMode is false for the last mode');
}

/**
 * Whether an older kernel would say so of a {@link LowersMode} that it does not know, and the next one is worth trying.
 * EOPNOTSUPP and EBADF are for the descriptor itself. A kernel that knows one option each says in its log what else it dislikes.
 */
export function isRefusedMode(error: unknown, lowers: LowersMode): boolean {
  if (!(error instanceof SystemError) || lowers === 'joined') return false;
  if (lowers === 'attached' && error.syscall === EXPLAINED) return false;
  return OLDER_KERNEL.has(error.code);
}

/** Mounts it before it returns, or throws; see {@link mountOverlay}. */
function assembleOverlay(
  system: System,
  mount: OverlayMount,
  { owner, lowers: mode }: Required<MountOverlayOptions>,
): Promise<void> {
  const folders = makeScratch(mount, owner);
  ensureDirectorySync(mount.target, 0o700);
  const opened: Fd[] = [];
  const lowers: Fd[] = [];
  const attached: string[] = [];
  const [upper, work] = [openFolder(folders.upper), openFolder(folders.work)];
  const scratch = { upper: fdPath(upper), work: fdPath(work) };
  try {
    const context = mode === 'joined' ? undefined : keep(opened, system.fsOpen('overlay'));
    for (const [index, layer] of [...mount.layers].reverse().entries()) {
      const lower = keep(lowers, openLower(system, layer, owner));
      if (mode !== 'detached') {
        const place = `${mount.scratch}/lower-${index}`;
        ensureDirectorySync(place, 0o700);
        system.attachMount(lower, place);
        attached.push(place);
      }
      if (context === undefined) continue;
      if (mode === 'detached') system.fsConfigFd(context, 'lowerdir+', lower);
      else system.fsConfigString(context, 'lowerdir+', fdPath(lower));
    }
    if (context === undefined) {
      mountJoined(system, mount, { ...scratch, lowers });
    } else {
      configureOverlay(system, context, scratch);
      const attributes = MOUNT_ATTR.NODEV | (mount.setuid ? 0 : MOUNT_ATTR.NOSUID);
      const made = keep(opened, system.fsMount(context, attributes));
      system.attachMount(made, mount.target);
    }
  } catch (error) {
    for (const fd of lowers) system.close(fd);
    throw error;
  } finally {
    for (const place of attached) system.detachMount(place);
    for (const fd of opened) system.close(fd);
    closeSync(upper);
    closeSync(work);
  }
  return closeAll(system, lowers);
}

async function closeAll(system: System, fds: readonly Fd[]): Promise<void> {
  await Promise.all(fds.map((fd) => system.closeAside(fd)));
}

function mountJoined(
  system: System,
  { target, setuid = false }: OverlayMount,
  { upper, work, lowers }: Scratch & { readonly lowers: readonly Fd[] },
): void {
  const named = {
    lowerdir: lowers.map(fdPath).join(':'),
    upperdir: upper,
    workdir: work,
    ...FIXED_OPTIONS,
  };
  const flags = MS_NODEV | (setuid ? 0 : MS_NOSUID);
  const options = [...Object.entries(named).map(([key, value]) => `${key}=${value}`), 'volatile'];
  system.mountByString('overlay', target, { flags, options: options.join(',') });
}

/**
 * A task reads in its /proc/mounts what the overlay was given: this tells no paths of the host. It needs no escapes, and many fit
 * into the one page that all options of mount(2) must fit into.
 */

function openFolder(folder: string): Fd {
  return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

function configureOverlay(system: System, context: Fd, { upper, work }: Scratch): void {
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

function openLower(system: System, layer: LayerSource, owner: RootfsOwner | null): Fd {
  const fd =
    layer.kind === 'file' ? openLayerFile(system, layer.path).fd : system.openTreeClone(layer.path);
  try {
    if (owner !== null) system.idmapMount(fd, owner.userNamespaceFd);
  } catch (error) {
    system.close(fd);
    throw error;
  }
  return fd;
}

/** The upper's root is the task's root directory: it belongs to the task's root user. */
function makeScratch(mount: OverlayMount, owner: RootfsOwner | null): Scratch {
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
    if (log === '') throw error;
    throw new SystemError(EXPLAINED, error.errno, error.code, log);
  }
}
