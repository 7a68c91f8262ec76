/** Plans the mounts of a task's root filesystem, in order. Pure. */
import type {
  BindMount,
  LayerSource,
  Mount,
  PreparedBind,
  TaskDevice,
  UserIds,
} from '../core/mount.ts';

/** The task's folders for its mounts: docs/on-disk-layout.md. */
export interface RootfsPlaces {
  /** The task's folder below the run folder: mount targets. */
  readonly taskDir: string;
  /** The task's folder below the root folder: writable uppers. */
  readonly scratchDir: string;
}

export interface RootfsRequest extends RootfsPlaces {
  /** The image's layers, lowest first. */
  readonly layers: readonly LayerSource[];
  /** Files and folders of the host; `target` is the path in the task. */
  readonly binds: readonly BindMount[];
  /** Device paths are unique. */
  readonly devices?: readonly Omit<TaskDevice, 'access'>[];
  /** Whether setuid files of the image take effect; those of the code never do. Default: no. */
  readonly setuid?: boolean;
  /** Prepare `/dev` for the runtime to bind; only for a task in its own user namespace. */
  readonly dev?: boolean;
  /** Prepare the host's sysfs for the runtime to bind; see {@link RootfsPlan.sysfs}. */
  readonly sysfs?: boolean;
}

/** Mounts in the host's mount namespace, and the binds for the runtime to make of them, in order. */
export interface MountPlan {
  readonly mounts: readonly Mount[];
  readonly binds: readonly PreparedBind[];
}

/** What a command adds to an existing container. */
export interface AddedRequest extends RootfsPlaces {
  /** The layers of the task's program, lowest first, seen at `/task`; may be empty. */
  readonly code: readonly LayerSource[];
  readonly binds: readonly BindMount[];
  /** The number of binds that the container has. */
  readonly bindsBefore: number;
  /** The command's user, who owns `/task`, as ids in the task. Default: the task's root. */
  readonly user?: UserIds;
  /** A folder in memory. Its place on the host follows those of the binds, as if it were one. */
  readonly memory?: { readonly file: string; readonly target: string } | undefined;
}

export interface RootfsPlan extends MountPlan {
  /** Where the root filesystem is once mounted. */
  readonly rootfs: string;
  /** The task's `/dev` once mounted. Undefined: the runtime makes it. */
  readonly dev: string | undefined;
  /** The host's sysfs, read-only, without mounts below: a program that finds two cgroup trees (Java 17) takes its limits from the wrong one. */
  readonly sysfs: string | undefined;
}

/** Mount point of the root filesystem while the container is created. */
export const rootfsTarget = (places: Pick<RootfsPlaces, 'taskDir'>) => `${places.taskDir}/rootfs`;
const codeTarget = (places: RootfsPlaces) => `${places.taskDir}/code`;
const devicesTarget = (places: RootfsPlaces) => `${places.taskDir}/devices`;
const devTarget = (places: RootfsPlaces) => `${places.taskDir}/dev`;
const sysfsTarget = (places: RootfsPlaces) => `${places.taskDir}/sys`;
const bindTarget = (places: RootfsPlaces, index: number) => `${places.taskDir}/binds/${index}`;

/** Every host path where a task may have a mount, whatever its options; removal checks them all. */
export function mountTargetsOf(places: RootfsPlaces, bindCount: number): readonly string[] {
  const binds = Array.from({ length: bindCount }, (_, index) => bindTarget(places, index));
  const others = [sysfsTarget, devTarget, devicesTarget, codeTarget, rootfsTarget];
  return [...binds.reverse(), ...others.map((target) => target(places))];
}

/**
 * Plans a task's root filesystem. Each bind is first cloned to one of the task's own mount points and restricted there, on the host: a task with
 * CAP_SYS_ADMIN in its user namespace cannot undo a read-only mount made outside of it.
 */
export function planRootfs(request: RootfsRequest): RootfsPlan {
  const rootfs = rootfsTarget(request);
  const mounts: Mount[] = [
    {
      type: 'overlay',
      target: rootfs,
      layers: request.layers,
      scratch: `${request.scratchDir}/rootfs`,
      ...(request.setuid ? { setuid: true } : {}),
    },
  ];
  const binds: PreparedBind[] = [];
  const devices = request.devices ?? [];
  if (devices.length > 0) {
    const target = devicesTarget(request);
    const nodes = devices.map(({ type, major, minor }) => ({ type, major, minor }));
    mounts.push({ type: 'devices', target, nodes });
    for (const [index, { path }] of devices.entries()) {
      const source = `${target}/${index}`;
      binds.push({ source, target: path, readOnly: false, isDevice: true });
    }
  }
  const dev = request.dev ? devTarget(request) : undefined;
  if (dev !== undefined) mounts.push({ type: 'dev', target: dev });
  const sysfs = request.sysfs ? sysfsTarget(request) : undefined;
  if (sysfs !== undefined) {
    mounts.push({ type: 'bind', source: '/sys', target: sysfs, readOnly: true, alone: true });
  }
  const asked = planBinds(request, 0);
  const made = { mounts: [...mounts, ...asked.mounts], binds: [...binds, ...asked.binds] };
  return { ...made, rootfs, dev, sysfs };
}

/** Plans the mounts for the command alone, beside the root filesystem, and the host path of the folder in memory. */
export function planAdded(
  request: AddedRequest,
): MountPlan & { readonly memory: string | undefined } {
  const { bindsBefore, binds, memory } = request;
  const parts = [planCode(request), planBinds(request, bindsBefore)];
  const place = memory && bindTarget(request, bindsBefore + binds.length);
  if (memory !== undefined && place !== undefined) {
    parts.push({
      mounts: [{ type: 'memory', target: place, file: memory.file }],
      binds: [{ source: place, target: memory.target, readOnly: false, noexec: true }],
    });
  }
  return {
    mounts: parts.flatMap(({ mounts }) => mounts),
    binds: parts.flatMap((part) => part.binds),
    memory: place,
  };
}

function planCode(request: AddedRequest): MountPlan {
  const { code: layers, scratchDir, user } = request;
  if (layers.length === 0) return { mounts: [], binds: [] };
  const target = codeTarget(request);
  const owner = user && { uid: user.uid, gid: user.gid };
  const scratch = `${scratchDir}/code`;
  return {
    mounts: [{ type: 'overlay', target, layers, scratch, ...(owner && { owner }) }],
    binds: [{ source: target, target: '/task', readOnly: false }],
  };
}

function planBinds(request: RootfsPlaces & Pick<RootfsRequest, 'binds'>, first: number): MountPlan {
  const placeOf = (index: number) => bindTarget(request, first + index);
  return {
    mounts: request.binds.map((bind, index) => ({ ...bind, target: placeOf(index) })),
    binds: request.binds.map(({ target, readOnly }, index) => ({
      source: placeOf(index),
      target,
      readOnly,
    })),
  };
}
