/** Plans the mounts of a task's root filesystem, in their order. Pure. */
import type {
  BindMount,
  LayerSource,
  Mount,
  PreparedBind,
  TaskDevice,
  UserIds,
} from '../core/mount.ts';

/** The task's folders for its mounts; docs/on-disk-layout.md. */
export interface RootfsPlaces {
  /** The task's folder below the run folder: mount targets. */
  readonly taskDir: string;
  /** The task's folder below the root folder: writable uppers. */
  readonly scratchDir: string;
}

export interface RootfsRequest extends RootfsPlaces {
  /** The image's layers, lowest first. */
  readonly layers: readonly LayerSource[];
  /** Host files and folders; `target` is the path inside the task. */
  readonly binds: readonly BindMount[];
  /** No two of them at one path. */
  readonly devices?: readonly Omit<TaskDevice, 'access'>[];
  /** Whether setuid files of the image take effect; those of the code never do. Default: no. */
  readonly setuid?: boolean;
  /** Whether to prepare `/dev` for the runtime to bind; only for a task in a user namespace of its own. */
  readonly dev?: boolean;
  /** Whether to prepare the host's sysfs for the runtime to bind; see {@link RootfsPlan.sysfs}. */
  readonly sysfs?: boolean;
}

/** Mounts of the host's namespace, and what of them the runtime is to bind where, in order. */
export interface MountPlan {
  readonly mounts: readonly Mount[];
  readonly binds: readonly PreparedBind[];
}

/** What a command brings into a container that is there. */
export interface AddedRequest extends RootfsPlaces {
  /** The layers of the task's program, lowest first, seen at `/task`. Empty: it has none. */
  readonly code: readonly LayerSource[];
  readonly binds: readonly BindMount[];
  /** How many binds the container has. */
  readonly bindsBefore: number;
  /** The task's ids of the command's user, who owns `/task` itself. Default: the task's root. */
  readonly user?: UserIds;
  /** A folder in memory; its place on the host comes after those of the binds, as if it were one. */
  readonly memory?: { readonly file: string; readonly target: string } | undefined;
}

export interface RootfsPlan extends MountPlan {
  /** The root filesystem, once mounted. */
  readonly rootfs: string;
  /** The task's `/dev`, once mounted. Undefined: the runtime makes it. */
  readonly dev: string | undefined;
  /**
   * The host's sysfs, read-only, without what is mounted below it: a program that finds two trees of cgroups takes its limits
   * from the wrong one, as Java 17 does.
   */
  readonly sysfs: string | undefined;
}

/** Where the root filesystem is mounted while the container is made. */
export const rootfsTarget = (places: Pick<RootfsPlaces, 'taskDir'>) => `${places.taskDir}/rootfs`;
const codeTarget = (places: RootfsPlaces) => `${places.taskDir}/code`;
const devicesTarget = (places: RootfsPlaces) => `${places.taskDir}/devices`;
const devTarget = (places: RootfsPlaces) => `${places.taskDir}/dev`;
const sysfsTarget = (places: RootfsPlaces) => `${places.taskDir}/sys`;
const bindTarget = (places: RootfsPlaces, index: number) => `${places.taskDir}/binds/${index}`;

/** Every path of the host where a task may have a mount, whatever its options: removal looks at all of them. */
export function mountTargetsOf(places: RootfsPlaces, bindCount: number): readonly string[] {
  const binds = Array.from({ length: bindCount }, (_, index) => bindTarget(places, index));
  const others = [sysfsTarget, devTarget, devicesTarget, codeTarget, rootfsTarget];
  return [...binds.reverse(), ...others.map((target) => target(places))];
}

/**
 * Each bind is first cloned to one of the task's own mount points and restricted there, on the host: a task with
 * CAP_SYS_ADMIN in its user namespace cannot undo a read-only mount that was made outside of it.
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

/** Which mounts are made beside the root filesystem, for the command alone, and where the folder in memory is mounted on the host. */
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
