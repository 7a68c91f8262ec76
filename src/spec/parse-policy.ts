/** unknown -> Policy. */
import { StackshimError } from '../core/errors.ts';
import { INVALID_ID, isReservedId } from '../core/host-ids.ts';
import { withoutUndefined } from '../core/read-fields.ts';
import { invalidField } from './field-errors.ts';
import { parseLimits, parseThrottles, parseUlimit, toLimits } from './limits.ts';
import { parseAbsolutePath } from './parse-path.ts';
import { parseCapability } from './parse-rights.ts';
import { parseTenants } from './parse-tenant.ts';
import {
  DEFAULT_POLICY,
  type JobTerms,
  type Permissions,
  type Policy,
  type ReportTerms,
} from './policy.ts';
import {
  type BindsInput,
  type BuildsInput,
  type JobsInput,
  type PermissionsInput,
  type PolicyInput,
  parsePolicyInput,
  type ReportsInput,
  type WorkerInput,
} from './policy-input.ts';
import { parseBytes, parseCount, parseDuration, parseFactor } from './quantities.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { AdmittedLimits, Reserves, TaskLimits, UlimitMaxima } from './task-spec.ts';

/**
 * Parses the content of a policy file; an absent field gets its value from {@link DEFAULT_POLICY}.
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
  const most = withBuildMaxima(parseLimits(maxima, inPolicy, 'maxima.'));
  return {
    defaults: lowerTo(most, {
      ...DEFAULT_POLICY.defaults,
      ...parseLimits(defaults, inPolicy, 'defaults.'),
    }),
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
    reports: parseReports(given.reports),
    builds: parseBuilds(given.builds),
    jobs: parseJobTerms(given.jobs),
    worker: parseWorker(given.worker),
    binds: parseBinds(given.binds),
  };
}

/** A build step without maxima of its own must not get more than a task. */
const withBuildMaxima = (most: TaskLimits): TaskLimits =>
  withoutUndefined({
    ...most,
    buildTimeoutMs: most.buildTimeoutMs ?? most.timeoutMs,
    buildMemoryBytes: most.buildMemoryBytes ?? most.memoryBytes,
    buildDiskBytes: most.buildDiskBytes ?? most.diskBytes,
  });

const CACHE_AGE = { min: 0, max: SPEC_BOUNDS.cacheAgeMsMax };

function parseBuilds({ jobs, cache, cacheAge }: BuildsInput = {}): Policy['builds'] {
  const usual = DEFAULT_POLICY.builds;
  return {
    jobs: jobs ?? usual.jobs,
    cacheBytes: cache === undefined ? usual.cacheBytes : parseBytes(cache, 'builds.cache'),
    cacheAgeMs:
      cacheAge === undefined
        ? usual.cacheAgeMs
        : parseDuration(cacheAge, 'builds.cacheAge', CACHE_AGE),
  };
}

function parseJobTerms({ payload, config, timeout, retries }: JobsInput = {}): JobTerms {
  const usual = DEFAULT_POLICY.jobs;
  const inputs = { max: SPEC_BOUNDS.jobInputBytes };
  return {
    payloadBytes: parseBytes(payload ?? usual.payloadBytes, 'jobs.payload', inputs),
    configBytes: parseBytes(config ?? usual.configBytes, 'jobs.config', inputs),
    timeoutMs: parseDuration(timeout ?? usual.timeoutMs, 'jobs.timeout', {
      min: 1,
      max: SPEC_BOUNDS.timeoutMsMax,
    }),
    retries: parseCount(retries ?? usual.retries, 'jobs.retries', {
      min: 0,
      max: SPEC_BOUNDS.jobRetries,
    }),
  };
}

const inPolicy = ({ policy }: { readonly policy: string }) => policy;

const SLOTS = { min: 0, max: SPEC_BOUNDS.liveTasksMax };

function parseReserves({ memory, disk }: NonNullable<PolicyInput['reserves']>): Reserves {
  return withoutUndefined({
    memoryBytes: memory === undefined ? undefined : parseBytes(memory, 'reserves.memory'),
    diskBytes: disk === undefined ? undefined : parseBytes(disk, 'reserves.disk'),
  });
}

const MAX_REPORTS = 1_000_000;
const MIN_LOG_BYTES = 262_144;
const AGES = { min: 0, max: 3_650 * 24 * 3_600_000 };

function parseReports({ count, size, age, log }: ReportsInput = {}): ReportTerms {
  const usual = DEFAULT_POLICY.reports;
  return {
    count: parseCount(count ?? usual.count, 'reports.count', { min: 0, max: MAX_REPORTS }),
    bytes: parseBytes(size ?? usual.bytes, 'reports.size'),
    ageMs: parseDuration(age ?? usual.ageMs, 'reports.age', AGES),
    logBytes: parseBytes(log ?? usual.logBytes, 'reports.log', { min: MIN_LOG_BYTES }),
  };
}

const FACTORS = { min: 0.01, max: 1_000 };

function parseWorker({ memory, cpus, disk }: WorkerInput = {}): Policy['worker'] {
  const usual = DEFAULT_POLICY.worker;
  return {
    memory: parseFactor(memory ?? usual.memory, 'worker.memory', FACTORS),
    cpus: parseFactor(cpus ?? usual.cpus, 'worker.cpus', FACTORS),
    disk: parseFactor(disk ?? usual.disk, 'worker.disk', FACTORS),
  };
}

const OWNERS = { min: 1, max: INVALID_ID - 1 };

function parseBinds({ owner }: BindsInput = {}): Policy['binds'] {
  if (owner === undefined) return DEFAULT_POLICY.binds;
  const id = parseCount(owner, 'binds.owner', OWNERS);
  if (isReservedId(id))
    throw invalidField(
      'binds.owner',
      'this id is reserved for tasks, builds or programs of stackshim',
      owner,
    );
  return { owner: id };
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
    // A task must not get a copy of a file that it may not bind, unless the policy says so.
    inputs: parsePaths(given.inputs, 'allow.inputs') ?? bindSources,
    outputs: parsePaths(given.outputs, 'allow.outputs') ?? bindSources,
    devices: parsePaths(given.devices, 'allow.devices') ?? base.devices,
    networks: given.networks ?? base.networks,
    // A build step must not get a network that tasks may not have, unless the policy says so.
    buildNetworks: given.buildNetworks ?? given.networks ?? base.buildNetworks,
    userns: given.userns ?? base.userns,
    pid: given.pid ?? base.pid,
    capAdd:
      given.capAdd?.map((name, i) => parseCapability(name, `allow.capAdd[${i}]`)) ?? base.capAdd,
    seccomp: given.seccomp ?? base.seccomp,
    newPrivileges: given.newPrivileges ?? base.newPrivileges,
    exec: given.exec ?? base.exec,
  };
}

const parsePaths = (paths: readonly string[] | undefined, field: string) =>
  paths?.map((path, i) => parseAbsolutePath(path, `${field}[${i}]`));

/** Lowers a default that is above its maximum. */
const lowerTo = (maxima: TaskLimits, defaults: AdmittedLimits): AdmittedLimits =>
  toLimits(({ limit, otherwise }) => {
    const most = maxima[limit] ?? Number.POSITIVE_INFINITY;
    // Without a default, the maximum is the default: a task that asks for nothing must not get more than one that asks.
    const usual =
      defaults[limit] ?? (otherwise !== undefined && most < otherwise ? most : undefined);
    return usual === undefined ? undefined : Math.min(usual, most);
  }) as AdmittedLimits;
