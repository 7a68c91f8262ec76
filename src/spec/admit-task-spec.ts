/** TaskSpec -> AdmittedTaskSpec: checks a task against the policy and the host. */
import type { TenantName } from '../core/ids.ts';
import { withoutUndefined } from '../core/read-fields.ts';
import { deniedField } from './field-errors.ts';
import { LIMITS, THROTTLE_FIELDS } from './limits.ts';
import { OPTION_ROWS } from './options/task-options.ts';
import type { Permissions, Policy } from './policy.ts';
import { requireAllowed } from './policy.ts';
import type {
  AdmittedLimits,
  AdmittedTaskSpec,
  TaskLimits,
  TaskSpec,
  TenantTerms,
  Throttle,
  Ulimit,
  UlimitMaxima,
} from './task-spec.ts';

/** Facts about the machine that bound every task. */
export interface HostLimits {
  readonly memoryBytes: number;
  readonly cpus: number;
  /** This process's hard limits by OCI name (`RLIMIT_NOFILE`); Infinity: unlimited. */
  readonly hardLimits: Readonly<Record<string, number>>;
  /** True with CAP_SYS_RESOURCE: a task's hard limit may be above this process's. */
  readonly canRaiseLimits: boolean;
}

/**
 * Fills in the limits that a task does not name, and checks the others against the policy and the host. Pure. The caller must check a
 * bundle that an image's label names and, once links are resolved, the source of a bind or a device (`requireAllowed`,
 * `requireAllowedPath`). Throws ERR_STACKSHIM_SPEC_DENIED with `details` {field, asked, allowed}.
 */
export function admitTaskSpec(spec: TaskSpec, policy: Policy, host: HostLimits): AdmittedTaskSpec {
  const terms = termsOf(spec.tenant, policy);
  const limits = admitLimits(spec.limits, policy, host, terms);
  checkPermissions(spec, policy.allow);
  if (!host.canRaiseLimits) {
    checkUlimits(
      spec.ulimits,
      host.hardLimits,
      (most) =>
        `above the host's hard limit of ${most}, which stackshim cannot raise here (no CAP_SYS_RESOURCE)`,
    );
  }
  checkUlimits(
    spec.ulimits,
    policy.ulimitMaxima,
    (most) => `above the policy's maximum of ${most} (maxima.ulimits)`,
  );
  const { slots, reserves } = policy;
  return {
    ...spec,
    limits,
    throttles: admitThrottles(spec.throttles, policy),
    ulimitMaxima: policy.ulimitMaxima,
    admission: { reserves, slots, terms },
  };
}

/** Throws ERR_STACKSHIM_SPEC_DENIED for the first of these limits that exceeds what a task of this tenant may have. */
export function requireAdmitted(
  asked: TaskLimits,
  tenant: TenantName | undefined,
  policy: Policy,
  host: HostLimits,
): void {
  admitLimits(asked, policy, host, termsOf(tenant, policy));
}

const termsOf = (tenant: TenantName | undefined, policy: Policy): TenantTerms | undefined =>
  tenant && (policy.tenants.get(tenant) ?? policy.tenantDefault);

/** A build step's own memory limit has the same bound as a task's. */
const boundedBy = ({ memoryBytes, cpus }: Pick<TaskLimits, 'memoryBytes' | 'cpus'>): TaskLimits =>
  withoutUndefined({ memoryBytes, cpus, buildMemoryBytes: memoryBytes });

function admitLimits(
  asked: TaskLimits,
  policy: Policy,
  host: HostLimits,
  terms: TenantTerms | undefined,
): AdmittedLimits {
  const bounds: readonly (readonly [string, TaskLimits])[] = [
    ["policy's maximum of", policy.maxima],
    ["tenant's", boundedBy(terms ?? {})],
    ["host's", boundedBy(host)],
  ];
  const admitted = { ...policy.defaults };
  for (const { limit: key, field, value: quantity } of LIMITS) {
    const value = asked[key];
    for (const [whose, most] of bounds) {
      const allowed = most[key];
      if (allowed === undefined) continue;
      // Lower a default of the policy to the maximum; grant or deny a value that the task asks for.
      const given = admitted[key];
      if (given !== undefined) admitted[key] = Math.min(given, allowed);
      if (value === undefined || value <= allowed) continue;
      const reason = `above the ${whose} ${quantity.show(allowed)}`;
      throw deniedField({ field, asked: value, shown: quantity.show(value), allowed, reason });
    }
    if (value !== undefined) admitted[key] = value;
  }
  return admitted;
}

/** Joins the task's throttles, the policy's defaults for other disks, and all the policy's maxima. For each disk, the lowest holds. */
function admitThrottles(
  asked: readonly Throttle[],
  { throttles: { defaults, maxima } }: Policy,
): readonly Throttle[] {
  const sameIn = (list: readonly Throttle[], { kind, path }: Throttle) =>
    list.find((other) => other.kind === kind && other.path === path);
  for (const throttle of asked) {
    const { kind, path, perSecond } = throttle;
    const most = sameIn(maxima, throttle);
    if (most === undefined || perSecond <= most.perSecond) continue;
    const field = THROTTLE_FIELDS.find(([known]) => known === kind)?.[1] ?? kind;
    const reason = `above the policy's maximum of ${most.perSecond}`;
    throw deniedField({ field, asked: `${path}:${perSecond}`, allowed: most.perSecond, reason });
  }
  return [...asked, ...defaults.filter((one) => sameIn(asked, one) === undefined), ...maxima];
}

function checkPermissions(spec: TaskSpec, permissions: Permissions): void {
  for (const [field, { allow, admit }] of OPTION_ROWS) {
    const asked = spec[field as keyof TaskSpec];
    if (allow !== undefined && typeof asked === 'string') {
      requireAllowed(permissions, allow, asked, field);
    }
    admit?.(spec, permissions);
  }
}

function checkUlimits(
  ulimits: readonly Ulimit[],
  most: UlimitMaxima,
  reasonFor: (most: number) => string,
): void {
  for (const { type, hard } of ulimits) {
    const allowed = most[type] ?? Number.POSITIVE_INFINITY;
    if (hard <= allowed) continue;
    const asked = `${type.slice('RLIMIT_'.length).toLowerCase()}=${hard === Infinity ? -1 : hard}`;
    throw deniedField({ field: 'ulimits', asked, allowed, reason: reasonFor(allowed) });
  }
}
