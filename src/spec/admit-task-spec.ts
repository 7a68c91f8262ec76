/** TaskSpec -> AdmittedTaskSpec: what the policy and the host let a task have. */

import { deniedField } from './denied-field.ts';
import { requireAllowed, requireAllowedBindSource, requireAllowedBundle } from './permissions.ts';
import type { Policy } from './policy.ts';
import type { AdmittedTaskSpec, TaskLimits, TaskSpec, Ulimit } from './task-spec.ts';

/** Facts about the machine that bound every task. */
export interface HostLimits {
  readonly memoryBytes: number;
  readonly cpus: number;
  /** This process' hard limits by OCI name (`RLIMIT_NOFILE`); Infinity: unlimited. */
  readonly hardLimits: Readonly<Record<string, number>>;
  /** True with CAP_SYS_RESOURCE: a task's hard limit may be above ours. */
  readonly canRaiseLimits: boolean;
}

/**
 * Fills in the limits a task does not name and checks the rest against the policy and the host. Pure.
 * A bundle that an image's label names, and a bind's source once its links are resolved, are the caller's to check
 * ({@link requireAllowedBundle}, {@link requireAllowedBindSource}). Throws ERR_STACKSHIM_SPEC_DENIED with `details` {field, asked, allowed}.
 */
export function admitTaskSpec(spec: TaskSpec, policy: Policy, host: HostLimits): AdmittedTaskSpec {
  const limits = admitLimits(spec.limits, policy, host);
  checkPermissions(spec, policy);
  if (!host.canRaiseLimits) checkUlimits(spec.ulimits, host);
  return { ...spec, limits };
}

/** Fields of {@link TaskLimits} beside the names users know them by. */
const LIMIT_FIELDS = [
  ['memoryBytes', 'memory'],
  ['cpus', 'cpus'],
  ['pids', 'pidsLimit'],
  ['timeoutMs', 'timeout'],
  ['outputBytes', 'outputLimit'],
] as const;

function admitLimits(asked: TaskLimits, policy: Policy, host: HostLimits): Required<TaskLimits> {
  const hostMost: TaskLimits = { memoryBytes: host.memoryBytes, cpus: host.cpus };
  const admitted = { ...policy.defaults };
  for (const [key, field] of LIMIT_FIELDS) {
    const value = asked[key];
    const most = policy.maxima[key];
    const hosts = hostMost[key];
    if (value === undefined) {
      admitted[key] = Math.min(admitted[key], hosts ?? admitted[key]);
      continue;
    }
    if (most !== undefined && value > most) {
      throw deniedField({
        field,
        asked: value,
        allowed: most,
        reason: `above the policy's maximum of ${most}`,
      });
    }
    if (hosts !== undefined && value > hosts) {
      throw deniedField({
        field,
        asked: value,
        allowed: hosts,
        reason: `above the host's ${hosts}`,
      });
    }
    admitted[key] = value;
  }
  return admitted;
}

function checkPermissions(spec: TaskSpec, { allow }: Policy): void {
  if (spec.bundle !== undefined) requireAllowedBundle(allow, spec.bundle);
  requireAllowed(allow.runtimes, spec.runtime, { field: 'runtime', rule: 'allow.runtimes' });
  requireAllowed(allow.networks, spec.network, { field: 'network', rule: 'allow.networks' });
  requireAllowed(allow.userns, spec.userns, { field: 'userns', rule: 'allow.userns' });
  for (const { source } of spec.mounts) requireAllowedBindSource(allow, source);
  if (!allow.capAdd.includes('ALL')) {
    for (const capability of spec.capAdd) {
      requireAllowed(allow.capAdd, capability, { field: 'capAdd', rule: 'allow.capAdd' });
    }
  }
  requireAllowed(allow.seccomp, seccompKind(spec.seccomp), {
    field: 'securityOpt',
    rule: 'allow.seccomp',
  });
  if (!spec.noNewPrivileges && !allow.newPrivileges) {
    throw deniedField({
      field: 'securityOpt',
      asked: 'no-new-privileges=false',
      allowed: 'no-new-privileges=true',
      reason: 'the policy has allow.newPrivileges off',
    });
  }
}

function seccompKind(seccomp: string | undefined): 'bundle' | 'file' | 'unconfined' {
  if (seccomp === undefined) return 'bundle';
  return seccomp === 'unconfined' ? 'unconfined' : 'file';
}

function checkUlimits(ulimits: readonly Ulimit[], host: HostLimits): void {
  for (const { type, hard } of ulimits) {
    const most = host.hardLimits[type] ?? Number.POSITIVE_INFINITY;
    if (hard <= most) continue;
    throw deniedField({
      field: 'ulimits',
      asked: `${type}=${hard}`,
      allowed: most,
      reason: `above the host's hard limit of ${most}, which stackshim cannot raise here (no CAP_SYS_RESOURCE)`,
    });
  }
}
