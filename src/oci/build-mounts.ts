/**
 * Builds the mounts inside a task: the template's, then tmpfs and binds, each parent before what is below it. Defines the fixed paths
 * there.
 */
import type { PreparedBind } from '../core/mount.ts';
import type { AdmittedTaskSpec, TmpfsRequest } from '../spec/task-spec.ts';
import type { OciMount } from './oci-config.ts';

/** The code, writable; the working directory when there is code. */
export const TASK_DIR = '/task';
/** Read-only, byte for byte what was given. */
export const PAYLOAD_FILE = '/run/stackshim/payload';
export const CONFIG_FILE = '/run/stackshim/config';
/** A folder of its own, so that the task can replace the file. */
export const PROGRESS_DIR = '/run/stackshim/progress';
/** In {@link PROGRESS_DIR}: what the task writes here, its owner reads. */
export const PROGRESS_NAME = 'text';
/** Where `--init` binds the host's init program; in `/dev`, so that the task's files stay untouched. */
export const INIT_FILE = '/dev/stackshim-init';

/** Statically linked init programs as distributions install them, best first; Debian's package is `tini`. */
export const INIT_CANDIDATES: readonly string[] = [
  '/usr/bin/tini-static',
  '/usr/bin/docker-init',
  '/usr/libexec/docker/docker-init',
  '/usr/libexec/podman/catatonit',
];

/** How binds are made in a container. */
export interface BindRules {
  readonly hasUserNamespace: boolean;
  /** Whether the runtime keeps the flags of a bind's source in a user namespace. */
  readonly locksBinds: boolean;
}

export interface MountsInput extends BindRules {
  readonly spec: Pick<AdmittedTaskSpec, 'tmpfs' | 'network'>;
  readonly binds: readonly PreparedBind[];
  /** Host path of a static init program, with `--init`. */
  readonly initBinary?: string | undefined;
  /** Host path of a prepared `/dev`. Default: the template's, which the runtime fills. */
  readonly dev?: string | undefined;
  /** Host path of a sysfs with nothing mounted below it. Default: the host's sysfs with everything below it. */
  readonly sysfs?: string | undefined;
}

/** Mounts in the order in which the runtime makes them. */
export interface OrderedMounts {
  /** The template's, and the init program. */
  readonly base: readonly OciMount[];
  /** What the task asks for, on top of those. */
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

/** A mount would hide what was mounted below its target before. */
export const shallowFirst = (mounts: readonly OciMount[]): readonly OciMount[] =>
  mounts.toSorted((a, b) => depthOf(a) - depthOf(b));

/** Binds what the host prepared in place of a mount of the template. */
function adaptMount(mount: OciMount, input: MountsInput): OciMount {
  const { spec, hasUserNamespace, sysfs = '/sys', dev } = input;
  const { destination } = mount;
  // A user namespace may mount sysfs only with its own network namespace; otherwise the host's is bound, completely read-only.
  if (mount.type === 'sysfs' && spec.network === 'host' && hasUserNamespace) {
    const options = ['rbind', 'rprivate', 'nosuid', 'noexec', 'nodev', 'rro'];
    return { destination, type: 'bind', source: sysfs, options };
  }
  if (dev === undefined || destination !== '/dev') return mount;
  // No flag is set: those of the prepared mount are locked in the task's user namespace.
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
 * If the flags of the host's mount are locked in a user namespace, they cannot be undone there, and a runtime that sets flags again
 * without knowing all of them fails (runc before 1.2 on a `noexec` source, as `/run` often is). So no flag is set.
 */
function toInheritingBind({ source, target }: PreparedBind): OciMount {
  return { destination: target, type: 'bind', source, options: ['rbind', 'rprivate'] };
}
