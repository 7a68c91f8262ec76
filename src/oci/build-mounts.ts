/** Builds the mounts inside a task: the template's, then tmpfs and binds, parents before children. Defines the fixed paths in a task. */
import type { PreparedBind } from '../core/mount.ts';
import type { AdmittedTaskSpec, TmpfsRequest } from '../spec/task-spec.ts';
import type { OciMount } from './oci-config.ts';

/** The code, writable. The working directory of a task with code. */
export const TASK_DIR = '/task';
/** The payload: read-only, the given bytes unchanged. */
export const PAYLOAD_FILE = '/run/stackshim/payload';
export const CONFIG_FILE = '/run/stackshim/config';
/** A directory of its own, so that the task can replace the file. */
export const PROGRESS_DIR = '/run/stackshim/progress';
/** The file in {@link PROGRESS_DIR} that the task writes and its owner reads. */
export const PROGRESS_NAME = 'text';
/** Where `--init` binds the host's init program: below `/dev`, so that the task's files stay untouched. */
export const INIT_FILE = '/dev/stackshim-init';

/** Paths of static init programs in distributions, best first. Debian's package is `tini`. */
export const INIT_CANDIDATES: readonly string[] = [
  '/usr/bin/tini-static',
  '/usr/bin/docker-init',
  '/usr/libexec/docker/docker-init',
  '/usr/libexec/podman/catatonit',
];

/** How binds are made in a container. */
export interface BindRules {
  readonly hasUserNamespace: boolean;
  /** True: in a user namespace, the runtime keeps the mount flags of a bind's source. */
  readonly locksBinds: boolean;
}

export interface MountsInput extends BindRules {
  readonly spec: Pick<AdmittedTaskSpec, 'tmpfs' | 'network'>;
  readonly binds: readonly PreparedBind[];
  /** Host path of a static init program, with `--init`. */
  readonly initBinary?: string | undefined;
  /** Host path of a prepared `/dev`. Default: the template's, which the runtime fills. */
  readonly dev?: string | undefined;
  /** Host path of a sysfs with nothing mounted below it. Default: the host's `/sys` with everything mounted below it. */
  readonly sysfs?: string | undefined;
}

/** Mounts in the order in which the runtime makes them. */
export interface OrderedMounts {
  /** The template's mounts and the init program. */
  readonly base: readonly OciMount[];
  /** The mounts that the task asks for, on top of `base`. */
  readonly asked: readonly OciMount[];
}

export function buildMounts(template: readonly OciMount[], input: MountsInput): OrderedMounts {
  const { spec, binds, initBinary } = input;
  const init =
    initBinary === undefined
      ? []
      : buildBinds([{ source: initBinary, target: INIT_FILE, readOnly: true }], input);
  return {
    base: [...template.map((mount) => adaptMount(mount, input)), ...init],
    asked: shallowFirst([...spec.tmpfs.map(toTmpfsMount), ...buildBinds(binds, input)]),
  };
}

export const buildBinds = (
  binds: readonly PreparedBind[],
  { hasUserNamespace, locksBinds }: BindRules,
): readonly OciMount[] =>
  binds.map(hasUserNamespace && locksBinds ? toInheritingBind : toFlaggedBind);

const depthOf = ({ destination }: OciMount) => destination.split('/').length;

/** Sorts parents first: a mount hides earlier mounts below its target. */
export const shallowFirst = (mounts: readonly OciMount[]): readonly OciMount[] =>
  mounts.toSorted((a, b) => depthOf(a) - depthOf(b));

/** Replaces a mount of the template by a bind of a mount that the host prepared. */
function adaptMount(mount: OciMount, input: MountsInput): OciMount {
  const { spec, hasUserNamespace, sysfs = '/sys', dev } = input;
  const { destination } = mount;
  // A user namespace can mount sysfs only with its own network namespace. Otherwise, bind the host's, with everything read-only.
  if (mount.type === 'sysfs' && spec.network === 'host' && hasUserNamespace) {
    const options = ['rbind', 'rprivate', 'nosuid', 'noexec', 'nodev', 'rro'];
    return { destination, type: 'bind', source: sysfs, options };
  }
  if (dev === undefined || destination !== '/dev') return mount;
  // Set no flags: the prepared mount's flags are locked in the task's user namespace.
  return { destination, type: 'bind', source: dev, options: ['bind', 'private'] };
}

function toTmpfsMount({ target, sizeBytes, mode = '1777', exec }: TmpfsRequest): OciMount {
  const options = ['nosuid', 'nodev', `mode=${mode}`];
  if (!exec) options.push('noexec');
  if (sizeBytes !== undefined) options.push(`size=${sizeBytes}`);
  return { destination: target, type: 'tmpfs', source: 'tmpfs', options };
}

function toFlaggedBind(bind: PreparedBind): OciMount {
  const { source, target, readOnly, isDevice = false, noexec = isDevice } = bind;
  const no = ['nosuid', ...(isDevice ? [] : ['nodev']), ...(noexec ? ['noexec'] : [])];
  const options = ['rbind', 'rprivate', ...no, readOnly ? 'ro' : 'rw'];
  return { destination: target, type: 'bind', source, options };
}

/**
 * Sets no flags, for a runtime that keeps them. A user namespace cannot clear the locked flags of a host mount, and a runtime that sets
 * flags again without knowing all of them fails (runc before 1.2 on a `noexec` source, as `/run` often is).
 */
function toInheritingBind({ source, target }: PreparedBind): OciMount {
  return { destination: target, type: 'bind', source, options: ['rbind', 'rprivate'] };
}
