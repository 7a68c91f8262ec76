/** Assembles one overlay from layers, cloned and idmapped as detached mounts. Kernels that cannot use those get them attached briefly. */
import { chownSync, closeSync, constants, openSync } from 'node:fs';
import type { IdRange, LayerSource, OverlayMount } from '../core/mount.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { fdPath } from '../sys/paths.ts';
import { type Fd, MOUNT_ATTR, type System, SystemError } from '../sys/system.ts';

/** The id mapping of a task's root filesystem. */
export interface RootfsOwner {
  readonly ids: IdRange;
  /** The slot's pinned user namespace. */
  readonly userNamespaceFd: Fd;
}

interface Scratch {
  readonly upper: string;
  readonly work: string;
}

/** How to pass lower directories to an overlay; the first overlay finds out what the kernel supports. */
export type LowersMode =
  /** As detached mounts: from about Linux 6.15. */
  | 'detached'
  /** Attached while the overlay is made, one option each: from Linux 6.5. */
  | 'attached'
  /** Attached, all in one option string of mount(2): older kernels. */
  | 'joined';

export interface MountOverlayOptions {
  /** Null: the task shares the host's user namespace; no ids are mapped. */
  readonly owner: RootfsOwner | null;
  /** Opens a `file` layer as a detached mount. Required if the overlay has one. */
  readonly openFile?: (system: System, path: string) => Fd;
  /** Default: the best mode of this kernel. */
  readonly lowers?: LowersMode;
}

/**
 * `metacopy` and `redirect_dir` would let a crafted upper directory name files of the layers below; `index` and `xino` cost time and serve only
 * NFS. Never set `userxattr`: the layers' whiteouts are `trusted.overlay.*`.
 */
const FIXED_OPTIONS = {
  metacopy: 'off',
  redirect_dir: 'nofollow',
  index: 'off',
  xino: 'off',
} as const;

/** The call named in an error that the kernel's log explains. */
const EXPLAINED = 'mount overlay';

const OLDER_KERNEL = new Set(['EINVAL', 'EBADF', 'EOPNOTSUPP']);

/** Options of mount(2). */
const MS_NOSUID = 2;
const MS_NODEV = 4;

const modes: readonly LowersMode[] = ['detached', 'attached', 'joined'];

/** The mode of this process's first overlay. */
let kernelTakes: LowersMode | undefined;

/**
 * Mounts the overlay at its target (created if missing) before it returns. Nothing else stays attached, even if it throws. Resolves when its
 * descriptors are closed; the mount is usable before that.
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
 * Whether an older kernel reports an unknown {@link LowersMode} with this error, so that the next mode is worth a try. EOPNOTSUPP and EBADF refer
 * to the descriptor itself. A kernel that supports one option per lower logs other reasons.
 */
export function isRefusedMode(error: unknown, lowers: LowersMode): boolean {
  if (!(error instanceof SystemError) || lowers === 'joined') return false;
  if (lowers === 'attached' && error.syscall === EXPLAINED) return false;
  return OLDER_KERNEL.has(error.code);
}

/** Mounts before it returns, or throws; see {@link mountOverlay}. */
function assembleOverlay(
  system: System,
  mount: OverlayMount,
  options: MountOverlayOptions & { readonly lowers: LowersMode },
): Promise<void> {
  const { owner, lowers: mode } = options;
  const folders = makeScratch(mount, owner);
  ensureDirectorySync(mount.target, 0o700);
  const opened: Fd[] = [];
  const lowers: Fd[] = [];
  const attached: string[] = [];
  const [upper, work] = [openFolder(folders.upper), openFolder(folders.work)];
  // A task sees the overlay's options in /proc/mounts: descriptor paths reveal no host paths. They also need no escapes, and many fit into the
  // one page that mount(2) allows for all options.
  const scratch = { upper: fdPath(upper), work: fdPath(work) };
  try {
    const context = mode === 'joined' ? undefined : keep(opened, system.fsOpen('overlay'));
    for (const [index, layer] of [...mount.layers].reverse().entries()) {
      const lower = keep(lowers, openLower(system, layer, options));
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
  return Promise.all(lowers.map((fd) => system.closeAside(fd))).then(() => undefined);
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

function openFolder(folder: string): Fd {
  return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

function configureOverlay(system: System, context: Fd, { upper, work }: Scratch): void {
  const options = { upperdir: upper, workdir: work, ...FIXED_OPTIONS };
  for (const [key, value] of Object.entries(options)) system.fsConfigString(context, key, value);
  // The upper is removed with the task, so nothing in it need reach the disk.
  system.fsConfigFlag(context, 'volatile');
  try {
    system.fsConfigCreate(context);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const log = system.fsContextLog(context);
    if (log === '') throw error;
    throw new SystemError(EXPLAINED, error.errno, error.code, log);
  }
}

function keep(opened: Fd[], fd: Fd): Fd {
  opened.push(fd);
  return fd;
}

function openLower(
  system: System,
  layer: LayerSource,
  { owner, openFile }: MountOverlayOptions,
): Fd {
  const open =
    layer.kind === 'file' ? openFile : (_: System, path: string) => system.openTreeClone(path);
  if (open === undefined) throw new Error(`mount overlay: nothing opens the layer ${layer.path}`);
  const fd = open(system, layer.path);
  try {
    if (owner !== null) system.idmapMount(fd, owner.userNamespaceFd);
  } catch (error) {
    system.close(fd);
    throw error;
  }
  return fd;
}

/** Makes the upper, whose root is the overlay's root directory. A kept task's upper keeps its owner. */
function makeScratch(mount: OverlayMount, owner: RootfsOwner | null): Scratch {
  const upper = `${mount.scratch}/upper`;
  const work = `${mount.scratch}/work`;
  const isNew = ensureDirectorySync(upper, 0o755);
  ensureDirectorySync(work, 0o700);
  if (isNew && (owner !== null || mount.owner !== undefined)) {
    const base = owner?.ids.base ?? 0;
    chownSync(upper, base + (mount.owner?.uid ?? 0), base + (mount.owner?.gid ?? 0));
  }
  return { upper, work };
}
