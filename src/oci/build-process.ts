/** The process of an OCI configuration: its command, user and rights. */
import { StackshimError } from '../core/errors.ts';
import type { IdRange } from '../core/mount.ts';
import type { CommandSpec, ContainerSpec, Ulimit, UlimitMaxima } from '../spec/task-spec.ts';
import { buildCapabilities, resolveCapabilities } from './build-capabilities.ts';
import type { BundleTemplate } from './bundle-template.ts';
import type { OciProcess, OciRlimit } from './oci-config.ts';
import { INIT_FILE } from './task-paths.ts';

export interface TaskUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

/** What every process of the container may do. */
type ProcessRights = Pick<
  ContainerSpec,
  'capAdd' | 'capDrop' | 'init' | 'noNewPrivileges' | 'ulimitMaxima'
>;

export interface ProcessInput {
  readonly template: BundleTemplate;
  readonly spec: ProcessRights & Pick<CommandSpec, 'tty' | 'ulimits'>;
  readonly user: TaskUser;
  /** At least one element; see `resolveCommand`. */
  readonly command: readonly string[];
  /** Final; see `buildTaskEnv`. */
  readonly env: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  readonly ids: IdRange | null;
  /** `hardLimits` by OCI name; Infinity or absent: unlimited. `oomScoreAdj`: the value that the process would inherit. */
  readonly host: {
    readonly hardLimits: Readonly<Record<string, number>>;
    readonly oomScoreAdj: number;
  };
}

/** Builds the process. Throws ERR_STACKSHIM_SPEC_INVALID when the user's ids are not mapped into the task. */
export function buildProcess(input: ProcessInput): OciProcess {
  const { template, spec, user, command, env, cwd, ids, host } = input;
  const { capabilities, rlimits, noNewPrivileges } = template.config.process;
  if (ids !== null) requireMappedUser(user, ids);
  const bounding = resolveCapabilities(capabilities.bounding, {
    add: spec.capAdd,
    drop: spec.capDrop,
  });
  const { uid, gid, additionalGids } = user;
  return {
    terminal: spec.tty,
    user: { uid, gid, additionalGids },
    args: spec.init ? [INIT_FILE, '--', ...command] : command,
    env,
    cwd,
    capabilities: buildCapabilities(bounding, uid),
    rlimits: buildRlimits(rlimits, spec.ulimits, {
      hardLimits: host.hardLimits,
      maxima: spec.ulimitMaxima,
    }),
    noNewPrivileges: noNewPrivileges && spec.noNewPrivileges,
    // A service may be protected from the OOM killer; its tasks must not be. Lowering the value would need a right that it may lack.
    ...(host.oomScoreAdj < 0 ? { oomScoreAdj: 0 } : {}),
  };
}

/** Throws ERR_STACKSHIM_SPEC_INVALID for a user id or group id outside of the task's range. */
export function requireMappedUser({ uid, gid, additionalGids }: TaskUser, { size }: IdRange): void {
  const outside = [uid, gid, ...additionalGids].find((id) => id >= size);
  if (outside === undefined) return;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `user: id ${outside} is outside of the task's ids, which are below ${size}`,
    { details: { field: 'user', value: outside } },
  );
}

export interface RlimitBounds {
  /** Hard limits of this process, by OCI name; an absent limit does not bound. */
  readonly hardLimits: Readonly<Record<string, number>>;
  /** Maxima of the policy. */
  readonly maxima: UlimitMaxima;
}

/**
 * The template's limits, replaced by the task's, none above the host's hard limit: a runtime without CAP_SYS_RESOURCE
 * could not set it. A process inherits other limits from its caller; such a limit is set if the caller's is above the
 * policy's maximum.
 */
export function buildRlimits(
  base: readonly OciRlimit[],
  ulimits: readonly Ulimit[],
  { hardLimits, maxima }: RlimitBounds,
): readonly OciRlimit[] {
  const limits = new Map<string, OciRlimit>();
  for (const { type, soft, hard } of [...base, ...ulimits]) {
    const most = Math.min(hardLimits[type] ?? Infinity, maxima[type] ?? Infinity);
    limits.set(type, { type, soft: Math.min(soft, most), hard: Math.min(hard, most) });
  }
  for (const [type, most] of Object.entries(maxima)) {
    if (limits.has(type) || (hardLimits[type] ?? 0) <= most) continue;
    limits.set(type, { type, soft: most, hard: most });
  }
  return [...limits.values()];
}
