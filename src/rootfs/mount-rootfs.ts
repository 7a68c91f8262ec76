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
  /** Maps the owner of a bind's source in its detached mount. Required if the plan has a bind with a mapped owner. */
  readonly mapOwner?: (clone: Fd, bind: BindMount, source: Stats) => Promise<void>;
}

/**
 * Makes every mount of the plan, in order. If one fails, the mounts made before it are detached, then the error is thrown.
 * The caller detaches them with {@link detachRootfs} once the runtime has created the container. `closed` resolves when the descriptors behind
 * the mounts are closed; a rejection that nobody awaits is not reported as unhandled.
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
 * The plan, once it is mounted, without the binds that are mounted over files of the root filesystem: the runtime need not bind them, and they
 * are detached with it. Such a bind has no target of its own. Another process sees that, too.
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

/** Detaches every mount of the plan from the host's mount namespace, last first; a second call does nothing. */
export async function detachRootfs(system: System, plan: Pick<MountPlan, 'mounts'>): Promise<void> {
  for (const { target } of [...plan.mounts].reverse()) await detachTargetAside(system, target);
}

/**
 * Detaches everything that is mounted at a target, and removes the target; a second call does nothing. Removing it makes the kernel detach the copies
 * in other mount namespaces as well: any local user may make such a copy, which would keep the task's disk space in use.
 */
export async function detachTarget(system: System, target: string): Promise<void> {
  while (system.detachMount(target));
  await removeTarget(system, target);
}

/** The same for a target that most likely has a mount: detaches on a thread of the pool if the engine has one. */
export async function detachTargetAside(system: System, target: string): Promise<void> {
  if (await system.detachMountAside(target)) while (system.detachMount(target));
  await removeTarget(system, target);
}

async function removeTarget(system: System, target: string): Promise<void> {
  // Removal asks for the same targets again: looking first is cheaper than a failed call on the pool.
  const found = lstatSync(target, { throwIfNoEntry: false });
  if (found === undefined) return;
  const remove = () => (found.isDirectory() ? rmdirAside(target) : unlinkAside(target));
  try {
    await remove();
  } catch (error) {
    // ENOTEMPTY: a runtime created something in it; the target is removed with the task's directory.
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
    // Look at the opened descriptor: the path may lead elsewhere by now.
    const source = fstatSync(clone);
    if (mount.ownerMapped) await mapOwner?.(clone, mount, source);
    // Then the target is not made: see `withoutBindsInRootfs`.
    if (mount.over && system.attachMountOver(clone, mount.over.rootfs, mount.over.file)) return;
    // The mount point of a folder is a folder; of anything else, a file.
    ensureDirectorySync(source.isDirectory() ? mount.target : dirname(mount.target), 0o711);
    if (!source.isDirectory()) closeSync(openSync(mount.target, NEW_FILE, 0o600));
    system.attachMount(clone, mount.target);
  });
}

const NEW_FILE = constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW;

/**
 * Mounts a tmpfs with device nodes at its target (created if missing). Every user of the task may open the nodes; on the host only root
 * and, if the task has a user namespace, its root reach them. On failure nothing stays attached.
 *
 * A runtime in a user namespace cannot make nodes: it binds the host's, which only the host's root may open. On many hosts no node can be
 * opened on the filesystem of the run folder, so the nodes have their own tmpfs.
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
  // Set the mode after mknod, whose mode the umask would restrict.
  chmodSync(path, 0o666);
}

/** As in the bundle templates, from which the other tasks get their `/dev`. */
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
/** What the templates mount below `/dev`. */
const DEV_FOLDERS = ['pts', 'shm', 'mqueue'] as const;

/**
 * Mounts a task's `/dev` at its target (created if missing). The nodes belong to the host's root, everything else to the task's. On failure
 * nothing stays attached.
 */
function mountDev(system: System, { target }: DevMount, owner: RootfsOwner | null): void {
  const id = owner?.ids.base ?? 0;
  const options = { source: 'tmpfs', ...DEV_OPTIONS, uid: `${id}`, gid: `${id}` };
  const attributes = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC | MOUNT_ATTR.STRICTATIME;
  attachTmpfs(system, target, { options, attributes }, () => {
    for (const [name, [major, minor]] of Object.entries(DEV_NODES)) {
      makeNode(system, `${target}/${name}`, { type: 'c', major, minor });
    }
    // As runtimes do: not every kernel has it.
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

/** Room for the file, a second one to rename over it, and a few more; what is written is charged to the writer's memory. */
const MEMORY_OPTIONS = { mode: '0777', size: '64k', nr_inodes: '16' } as const;

/** Mounts it at its target (created if missing). On failure nothing stays attached. */
function mountMemory(system: System, mount: MemoryMount, owner: RootfsOwner | null): void {
  const { target, file } = mount;
  const id = owner?.ids.base ?? 0;
  const options = { ...MEMORY_OPTIONS, uid: `${id}`, gid: `${id}` };
  const attributes = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC;
  attachTmpfs(system, target, { options, attributes }, () => {
    const path = `${target}/${file}`;
    closeSync(openSync(path, 'wx', 0o600));
    // Set the mode afterwards, because the umask would restrict it.
    chmodSync(path, 0o666);
    chownSync(path, id, id);
  });
}

interface TmpfsSettings {
  readonly options: Readonly<Record<string, string>>;
  /** MOUNT_ATTR_* bits. */
  readonly attributes: number;
}

/** Mounts it at its target (created if missing). `fill` makes what is in it; if that fails, nothing stays attached. */
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
