/** unknown -> Policy. */
import { StackshimError } from '../core/errors.ts';
import { INVALID_ID, isReservedId } from '../core/host-ids.ts';
import { invalidField } from './invalid-field.ts';
import { parseBytes } from './parse-bytes.ts';
import { parseCapability } from './parse-capability.ts';
import { parseDisk } from './parse-disk.ts';
import { parseDuration } from './parse-duration.ts';
import { parseCount, parseCpus } from './parse-number.ts';
import { parseAbsolutePath } from './parse-path.ts';
import { parseTenants } from './parse-tenant.ts';
import { parseThrottles } from './parse-throttle.ts';
import { parseUlimit } from './parse-ulimit.ts';
import { DEFAULT_POLICY, type Permissions, type Policy } from './policy.ts';
import {
  type BindsInput,
  type LimitsInput,
  type PermissionsInput,
  type PolicyInput,
  parsePolicyInput,
} from './policy-input.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { AdmittedLimits, Reserves, TaskLimits, UlimitMaxima } from './task-spec.ts';
import { withoutUndefined } from './without-undefined.ts';

/**
 * Parses what a policy file holds; a field that is absent has its value of {@link DEFAULT_POLICY}.
 * A default above its maximum is lowered to it. Throws ERR_STACKSHIM_POLICY_INVALID with `details.field`.
 */
export function parsePolicy(input: unknown): Policy {
  try {
    return toPolicy(parsePolicyInput(input));
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    const { details } = error;
    const options = { details, cause: error };
    throw new StackshimError('ERR_STACKSHIM_POLICY_INVALID', `policy ${error.message}`, options);
  }
}

function toPolicy(given: PolicyInput): Policy {
  const { defaults = {}, maxima = {}, allow = {}, reserves = {}, slots } = given;
  const most = parseLimits(maxima, 'maxima');
  return {
    defaults: lowerTo(most, { ...DEFAULT_POLICY.defaults, ...parseLimits(defaults, 'defaults') }),
    maxima: most,
    throttles: {
      defaults: parseThrottles(defaults, 'defaults.'),
      maxima: parseThrottles(maxima, 'maxima.'),
    },
    ulimitMaxima: { ...DEFAULT_POLICY.ulimitMaxima, ...parseUlimitMaxima(maxima.ulimits ?? []) },
    allow: parsePermissions(allow),
    ...(slots === undefined ? {} : { slots: parseCount(slots, 'slots', SLOTS) }),
    reserves: parseReserves(reserves),
    ...parseTenants(given, DEFAULT_POLICY.tenantDefault),
    disk: { ...DEFAULT_POLICY.disk, ...given.disk },
    binds: parseBinds(given.binds),
  };
}

const SLOTS = { min: 0, max: SPEC_BOUNDS.liveTasksMax };

function parseReserves({ memory, disk }: NonNullable<PolicyInput['reserves']>): Reserves {
  return withoutUndefined({
    memoryBytes: memory === undefined ? undefined : parseBytes(memory, 'reserves.memory'),
    diskBytes: disk === undefined ? undefined : parseBytes(disk, 'reserves.disk'),
  });
}

const OWNERS = { min: 1, max: INVALID_ID - 1 };

function parseBinds({ owner }: BindsInput = {}): Policy['binds'] {
  if (owner === undefined) return DEFAULT_POLICY.binds;
  const id = parseCount(owner, 'binds.owner', OWNERS);
  if (isReservedId(id))
    throw invalidField(
      'binds.owner',
      'an id that stackshim gives to tasks, builds or programs',
      owner,
    );
  return { owner: id };
}

function parseLimits(given: LimitsInput, section: string): TaskLimits {
  const { memory, cpus, pids, timeout, stopTimeout, output, cpuTime, cpuShares, disk } = given;
  const shares = { min: SPEC_BOUNDS.cpuSharesMin, max: SPEC_BOUNDS.cpuSharesMax };
  const count = { min: 1, max: SPEC_BOUNDS.pidsMax };
  const wall = { min: 1, max: SPEC_BOUNDS.timeoutMsMax };
  const grace = { min: 0, max: SPEC_BOUNDS.stopTimeoutMsMax };
  const bytes = { min: SPEC_BOUNDS.memoryBytesMin };
  return withoutUndefined({
    memoryBytes: memory === undefined ? undefined : parseBytes(memory, `${section}.memory`, bytes),
    cpus: cpus === undefined ? undefined : parseCpus(cpus, `${section}.cpus`),
    pids: pids === undefined ? undefined : parseCount(pids, `${section}.pids`, count),
    timeoutMs:
      timeout === undefined ? undefined : parseDuration(timeout, `${section}.timeout`, wall),
    stopTimeoutMs:
      stopTimeout === undefined
        ? undefined
        : parseDuration(stopTimeout, `${section}.stopTimeout`, grace),
    outputBytes:
      output === undefined ? undefined : parseBytes(output, `${section}.output`, { min: 1 }),
    cpuTimeMs:
      cpuTime === undefined ? undefined : parseDuration(cpuTime, `${section}.cpuTime`, wall),
    cpuShares:
      cpuShares === undefined ? undefined : parseCount(cpuShares, `${section}.cpuShares`, shares),
    diskBytes: disk === undefined ? undefined : parseDisk(disk, `${section}.disk`),
  });
}

function parseUlimitMaxima(given: readonly string[]): UlimitMaxima {
  const maxima: Record<string, number> = {};
  for (const [i, text] of given.entries()) {
    const { type, hard } = parseUlimit(text, `maxima.ulimits[${i}]`);
    maxima[type] = hard;
  }
  return maxima;
}

function parsePermissions(given: PermissionsInput): Permissions {
  const base = DEFAULT_POLICY.allow;
  const bindSources = parsePaths(given.bindSources, 'allow.bindSources') ?? base.bindSources;
  return {
    bundles: given.bundles ?? base.bundles,
    runtimes: given.runtimes ?? base.runtimes,
    bindSources,
    // What a task may not bind it must not be given as a copy either, unless the policy says so.
    inputs: parsePaths(given.inputs, 'allow.inputs') ?? bindSources,
    devices: parsePaths(given.devices, 'allow.devices') ?? base.devices,
    networks: given.networks ?? base.networks,
    userns: given.userns ?? base.userns,
    pid: given.pid ?? base.pid,
    capAdd:
      given.capAdd?.map((name, i) => parseCapability(name, `allow.capAdd[${i}]`)) ?? base.capAdd,
    seccomp: given.seccomp ?? base.seccomp,
    newPrivileges: given.newPrivileges ?? base.newPrivileges,
  };
}

const parsePaths = (paths: readonly string[] | undefined, field: string) =>
  paths?.map((path, i) => parseAbsolutePath(path, `${field}[${i}]`));

/** What a task has without cpu shares of its own. */
const USUAL_SHARES = 1024;

function lowerTo(maxima: TaskLimits, defaults: AdmittedLimits): AdmittedLimits {
  const lower = (value: number, most: number | undefined) => Math.min(value, most ?? value);
  // Without a default the maximum is one: a task that does not say must not have more than one that does.
  const { cpuTimeMs = maxima.cpuTimeMs } = defaults;
  const {
    cpuShares = (maxima.cpuShares ?? USUAL_SHARES) < USUAL_SHARES ? USUAL_SHARES : undefined,
  } = defaults;
  return withoutUndefined({
    memoryBytes: lower(defaults.memoryBytes, maxima.memoryBytes),
    cpus: lower(defaults.cpus, maxima.cpus),
    pids: lower(defaults.pids, maxima.pids),
    timeoutMs: lower(defaults.timeoutMs, maxima.timeoutMs),
    stopTimeoutMs: lower(defaults.stopTimeoutMs, maxima.stopTimeoutMs),
    outputBytes: lower(defaults.outputBytes, maxima.outputBytes),
    diskBytes: lower(defaults.diskBytes, maxima.diskBytes),
    cpuTimeMs: cpuTimeMs === undefined ? undefined : lower(cpuTimeMs, maxima.cpuTimeMs),
    cpuShares: cpuShares === undefined ? undefined : lower(cpuShares, maxima.cpuShares),
  });
}
