/** Makes the mounts of a {@link MountPlan}. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  type Stats,
  symlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoCodeOf } from '../core/errors.ts';
import type { BindMount, DevicesMount, DevMount, MemoryMount, Mount } from '../core/mount.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { withSystemFd } from '../sys/paths.ts';
import { rmdirAside, unlinkAside } from '../sys/remove-tree.ts';
import { type Fd, MOUNT_ATTR, makeMount, type System } from '../sys/system.ts';
import { type MountOverlayOptions, mountOverlay, type RootfsOwner } from './mount-overlay.ts';
import type { MountPlan } from './plan-rootfs.ts';

export interface MountRootfsOptions extends MountOverlayOptions {
  /** Maps the owner of a bind's source in its detached mount. Required for a bind with a mapped owner. */
  readonly mapOwner?: (clone: Fd, bind: BindMount, source: Stats) => Promise<void>;
}

/**
 * Makes every mount of the plan, in order; if one fails, detaches those before it and throws. The caller detaches them with {@link detachRootfs}
 * once the runtime has created the container. `closed` resolves when the descriptors behind the mounts are closed; its rejection is never
 * reported as unhandled.
 */
export async function mountRootfs(
  system: System,
  plan: Pick<MountPlan, 'mounts'>,
  options: MountRootfsOptions,
): Promise<{ readonly closed: Promise<void> }> {
  const closing: Promise<void>[] = [];
  try {
    for (const mount of plan.mounts) {
      if (mount.type === 'bind') await mountBind(system, mount, options);
      else if (mount.type === 'overlay') closing.push(mountOverlay(system, mount, options));
      else if (mount.type === 'dev') mountDev(system, mount, options.owner);
      else if (mount.type === 'devices') mountDevices(system, mount, options.owner);
      else mountMemory(system, mount, options.owner);
    }
  } catch (error) {
    await Promise.allSettled(closing);
    await detachRootfs(system, plan);
    throw error;
  }
  const closed = Promise.all(closing).then(() => undefined);
  closed.catch(() => undefined);
  return { closed };
}

/**
 * The plan, once mounted, without the binds mounted over files of the root filesystem, which have no targets of their own: the runtime need not
 * bind them, and they are detached with the root filesystem. Also works in another process.
 */
export function withoutBindsInRootfs<P extends MountPlan>(plan: P): P {
  const isInRootfs = (mount: Mount) =>
    mount.type === 'bind' && mount.over !== undefined && !existsSync(mount.target);
  const targets = new Set(plan.mounts.filter(isInRootfs).map(({ target }) => target));
  return {
    ...plan,
    mounts: plan.mounts.filter(({ target }) => !targets.has(target)),
    binds: plan.binds.filter(({ source }) => !targets.has(source)),
  };
}

/** Detaches every mount of the plan from the host's mount namespace, last first. A second call does nothing. */
export async function detachRootfs(system: System, plan: Pick<MountPlan, 'mounts'>): Promise<void> {
  for (const { target } of [...plan.mounts].reverse()) await detachTargetAside(system, target);
}

/**
 * Detaches everything mounted at a target, and removes the target. A second call does nothing. The removal makes the kernel detach copies in
 * other mount namespaces, too: any local user can make one, which would keep the task's disk space in use.
 */
export async function detachTarget(system: System, target: string): Promise<void> {
  while (system.detachMount(target));
  await removeTarget(system, target);
}

/** Like {@link detachTarget}, for a target that is probably mounted: detaches on a pool thread if the engine has a pool. */
export async function detachTargetAside(system: System, target: string): Promise<void> {
  if (await system.detachMountAside(target)) while (system.detachMount(target));
  await removeTarget(system, target);
}

async function removeTarget(system: System, target: string): Promise<void> {
  // Removal tries the same targets again: this check is cheaper than a failed pool call.
  const found = lstatSync(target, { throwIfNoEntry: false });
  if (found === undefined) return;
  const remove = () => (found.isDirectory() ? rmdirAside(target) : unlinkAside(target));
  try {
    await remove();
  } catch (error) {
    // ENOTEMPTY: a runtime created something in the target, which is removed with the task's directory.
    if (['ENOENT', 'ENOTEMPTY'].includes(errnoCodeOf(error) ?? '')) return;
    const { detachCopies, isBusy } = await import('../sys/detach-copies.ts');
    if (!isBusy(error) || !detachCopies(system, target)) throw error;
    await remove();
  }
}

async function mountBind(
  system: System,
  mount: BindMount,
  { mapOwner }: MountRootfsOptions,
): Promise<void> {
  const clone = mount.alone
    ? system.openTreeClone(mount.source)
    : system.openRealTreeClone(mount.source);
  await withSystemFd(system, clone, async () => {
    const attributes =
      MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | (mount.readOnly ? MOUNT_ATTR.RDONLY : 0);
    system.restrictMount(clone, attributes, { recursive: true });
    // Inspect the open descriptor: the path may lead elsewhere by now.
    const source = fstatSync(clone);
    if (mount.ownerMapped) await mapOwner?.(clone, mount, source);
    // Then there is no target: see `withoutBindsInRootfs`.
    if (mount.over && system.attachMountOver(clone, mount.over.rootfs, mount.over.file)) return;
    // The mount point is a folder for a folder, else a file.
    ensureDirectorySync(source.isDirectory() ? mount.target : dirname(mount.target), 0o711);
    if (!source.isDirectory()) closeSync(openSync(mount.target, NEW_FILE, 0o600));
    system.attachMount(clone, mount.target);
  });
}

const NEW_FILE = constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW;

/**
 * Mounts a tmpfs of device nodes at its target (created if missing). All users of the task may open the nodes; on the host only root and, if the
 * task has a user namespace, its root reach them. On failure nothing stays attached.
 *
 * A runtime in a user namespace cannot make nodes: it binds the host's, which only the host's root may open. On many hosts no node can be opened
 * on the run folder's filesystem, so the nodes have their own tmpfs.
 */
function mountDevices(system: System, mount: DevicesMount, owner: RootfsOwner | null): void {
  const { target, nodes } = mount;
  // On the host only root and the slot's group pass through it.
  const access = owner === null ? { mode: '0700' } : { mode: '0710', gid: `${owner.ids.base}` };
  const options = { ...access, size: '4k' };
  const attributes = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC;
  attachTmpfs(system, target, { options, attributes }, () => {
    for (const [index, node] of nodes.entries()) makeNode(system, `${target}/${index}`, node);
  });
}

function makeNode(system: System, path: string, node: DevicesMount['nodes'][number]): void {
  system.makeDeviceNode(path, node);
  // Set the mode afterwards: the umask narrows the mode of mknod.
  chmodSync(path, 0o666);
}

/** As in the bundle templates, which give other tasks their `/dev`. */
const DEV_OPTIONS = { mode: '0755', size: '64k' } as const;
const DEV_NODES = {
  null: [1, 3],
  zero: [1, 5],
  full: [1, 7],
  random: [1, 8],
  urandom: [1, 9],
  tty: [5, 0],
} as const;
const DEV_LINKS = {
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
  ptmx: 'pts/ptmx',
} as const;
/** The templates' mount points below `/dev`. */
const DEV_FOLDERS = ['pts', 'shm', 'mqueue'] as const;

/**
 * Mounts a task's `/dev` at its target (created if missing). The nodes are the host root's, the rest the task root's. On failure nothing stays
 * attached.
 */
function mountDev(system: System, { target }: DevMount, owner: RootfsOwner | null): void {
  const id = owner?.ids.base ?? 0;
  const options = { source: 'tmpfs', ...DEV_OPTIONS, uid: `${id}`, gid: `${id}` };
  const attributes = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC | MOUNT_ATTR.STRICTATIME;
  attachTmpfs(system, target, { options, attributes }, () => {
    for (const [name, [major, minor]] of Object.entries(DEV_NODES)) {
      makeNode(system, `${target}/${name}`, { type: 'c', major, minor });
    }
    // As runtimes do; not every kernel has it.
    const core = existsSync('/proc/kcore') ? { core: '/proc/kcore' } : {};
    for (const [name, to] of Object.entries({ ...DEV_LINKS, ...core })) {
      symlinkSync(to, `${target}/${name}`);
      lchownSync(`${target}/${name}`, id, id);
    }
    for (const name of DEV_FOLDERS) {
      mkdirSync(`${target}/${name}`, 0o755);
      chownSync(`${target}/${name}`, id, id);
    }
  });
}

/** Room for the file, a second one to rename over it, and a few more. Writes are charged to the writer's memory. */
const MEMORY_OPTIONS = { mode: '0777', size: '64k', nr_inodes: '16' } as const;

/** Mounts a folder in memory at its target (created if missing). On failure nothing stays attached. */
function mountMemory(system: System, mount: MemoryMount, owner: RootfsOwner | null): void {
  const { target, file } = mount;
  const id = owner?.ids.base ?? 0;
  const options = { ...MEMORY_OPTIONS, uid: `${id}`, gid: `${id}` };
  const attributes = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC;
  attachTmpfs(system, target, { options, attributes }, () => {
    const path = `${target}/${file}`;
    closeSync(openSync(path, 'wx', 0o600));
    // Set the mode afterwards: the umask would narrow it.
    chmodSync(path, 0o666);
    chownSync(path, id, id);
  });
}

interface TmpfsSettings {
  readonly options: Readonly<Record<string, string>>;
  /** MOUNT_ATTR_* bits. */
  readonly attributes: number;
}

/** Mounts a tmpfs at its target (created if missing), then calls `fill` to fill it. On failure nothing stays attached. */
function attachTmpfs(
  system: System,
  target: string,
  { options, attributes }: TmpfsSettings,
  fill: () => void,
): void {
  ensureDirectorySync(target, 0o700);
  const made = makeMount(system, 'tmpfs', { settings: Object.entries(options), attributes });
  try {
    system.attachMount(made, target);
    fill();
  } catch (error) {
    system.detachMount(target);
    throw error;
  } finally {
    system.close(made);
  }
}
