/** unknown -> Policy. */
import { StackshimError } from '../core/errors.ts';
import { INVALID_ID, isReservedId } from '../core/host-ids.ts';
import { isTenantName } from '../core/ids.ts';
import { withoutUndefined } from '../core/read-fields.ts';
import { invalidField } from './field-errors.ts';
import { parseLimits, parseThrottles, parseUlimit, toLimits } from './limits.ts';
import { parseCapability } from './parse-command.ts';
import { parseAbsolutePath } from './parse-path.ts';
import { DEFAULT_POLICY, type Permissions, type Policy } from './policy.ts';
import { type PolicyInput, type PolicySection, parsePolicyInput } from './policy-input.ts';
import { parseBytes, parseCount, parseCpus, parseDuration, parseFactor } from './quantities.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { AdmittedLimits, TaskLimits, TenantTerms, UlimitMaxima } from './task-spec.ts';

/**
 * Parses the content of a policy file. {@link DEFAULT_POLICY} has the values of absent fields. A default above its maximum is lowered to
 * it. Throws ERR_STACKSHIM_POLICY_INVALID with `details.field`.
 */
export function parsePolicy(input: unknown): Policy {
  try {
    return toPolicy(parsePolicyInput(input));
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    throw new StackshimError('ERR_STACKSHIM_POLICY_INVALID', `policy ${error.message}`, {
      details: error.details,
      cause: error,
    });
  }
}

function toPolicy(given: PolicyInput): Policy {
  const { defaults = {}, maxima = {}, allow = {}, slots } = given;
  const { memory, disk } = given.reserves ?? {};
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
    slots: slots === undefined ? undefined : parseCount(slots, 'slots', SLOTS),
    reserves: withoutUndefined({
      memoryBytes: memory === undefined ? undefined : parseBytes(memory, 'reserves.memory'),
      diskBytes: disk === undefined ? undefined : parseBytes(disk, 'reserves.disk'),
    }),
    ...parseTenants(given),
    disk: { ...DEFAULT_POLICY.disk, ...given.disk },
    reports: parseReports(given.reports),
    builds: parseBuilds(given.builds),
    jobs: parseJobTerms(given.jobs),
    worker: parseWorker(given.worker),
    binds: parseBinds(given.binds),
  };
}

/** Bounds a build step that has no maxima of its own by the task's maxima. */
const withBuildMaxima = (most: TaskLimits): TaskLimits =>
  withoutUndefined({
    ...most,
    buildTimeoutMs: most.buildTimeoutMs ?? most.timeoutMs,
    buildMemoryBytes: most.buildMemoryBytes ?? most.memoryBytes,
    buildDiskBytes: most.buildDiskBytes ?? most.diskBytes,
  });

const CACHE_AGE = { min: 0, max: SPEC_BOUNDS.cacheAgeMsMax };

function parseBuilds(given: PolicySection<'builds'> = {}): Policy['builds'] {
  const { jobs, cache, cacheAge } = given;
  const usual = DEFAULT_POLICY.builds;
  return {
    jobs: jobs ?? usual.jobs,
    cacheBytes: parseBytes(cache ?? usual.cacheBytes, 'builds.cache'),
    cacheAgeMs: parseDuration(cacheAge ?? usual.cacheAgeMs, 'builds.cacheAge', CACHE_AGE),
  };
}

const JOB_INPUT = { max: SPEC_BOUNDS.jobInputBytes };
const JOB_TIMEOUT = { min: 1, max: SPEC_BOUNDS.timeoutMsMax };
const JOB_RETRIES = { min: 0, max: SPEC_BOUNDS.jobRetries };

function parseJobTerms(given: PolicySection<'jobs'> = {}): Policy['jobs'] {
  const { payload, config, timeout, retries } = given;
  const usual = DEFAULT_POLICY.jobs;
  return {
    payloadBytes: parseBytes(payload ?? usual.payloadBytes, 'jobs.payload', JOB_INPUT),
    configBytes: parseBytes(config ?? usual.configBytes, 'jobs.config', JOB_INPUT),
    timeoutMs: parseDuration(timeout ?? usual.timeoutMs, 'jobs.timeout', JOB_TIMEOUT),
    retries: parseCount(retries ?? usual.retries, 'jobs.retries', JOB_RETRIES),
  };
}

const inPolicy = ({ policy }: { readonly policy: string }) => policy;

const SLOTS = { min: 0, max: SPEC_BOUNDS.liveTasksMax };

const MAX_REPORTS = 1_000_000;
const MIN_LOG_BYTES = 262_144;
const AGES = { min: 0, max: 3_650 * 24 * 3_600_000 };

function parseReports(given: PolicySection<'reports'> = {}): Policy['reports'] {
  const { count, size, age, log } = given;
  const usual = DEFAULT_POLICY.reports;
  return {
    count: parseCount(count ?? usual.count, 'reports.count', { min: 0, max: MAX_REPORTS }),
    bytes: parseBytes(size ?? usual.bytes, 'reports.size'),
    ageMs: parseDuration(age ?? usual.ageMs, 'reports.age', AGES),
    logBytes: parseBytes(log ?? usual.logBytes, 'reports.log', { min: MIN_LOG_BYTES }),
  };
}

const FACTORS = { min: 0.01, max: 1_000 };

function parseWorker(given: PolicySection<'worker'> = {}): Policy['worker'] {
  const { memory, cpus, disk } = given;
  const usual = DEFAULT_POLICY.worker;
  return {
    memory: parseFactor(memory ?? usual.memory, 'worker.memory', FACTORS),
    cpus: parseFactor(cpus ?? usual.cpus, 'worker.cpus', FACTORS),
    disk: parseFactor(disk ?? usual.disk, 'worker.disk', FACTORS),
  };
}

const OWNERS = { min: 1, max: INVALID_ID - 1 };

function parseBinds({ owner }: PolicySection<'binds'> = {}): Policy['binds'] {
  if (owner === undefined) return DEFAULT_POLICY.binds;
  const id = parseCount(owner, 'binds.owner', OWNERS);
  if (!isReservedId(id)) return { owner: id };
  const problem = 'this id is reserved for tasks, builds or programs of stackshim';
  throw invalidField('binds.owner', problem, owner);
}

function parseUlimitMaxima(given: readonly string[]): UlimitMaxima {
  const maxima: Record<string, number> = {};
  for (const [i, text] of given.entries()) {
    const { type, hard } = parseUlimit(text, `maxima.ulimits[${i}]`);
    maxima[type] = hard;
  }
  return maxima;
}

function parsePermissions(given: PolicySection<'allow'>): Permissions {
  const base = DEFAULT_POLICY.allow;
  const bindSources = parsePaths(given.bindSources, 'allow.bindSources') ?? base.bindSources;
  return {
    ...base,
    ...given,
    bindSources,
    // Unless the policy says so, a task must not get a copy of a file that it may not bind.
    inputs: parsePaths(given.inputs, 'allow.inputs') ?? bindSources,
    outputs: parsePaths(given.outputs, 'allow.outputs') ?? bindSources,
    devices: parsePaths(given.devices, 'allow.devices') ?? base.devices,
    // Unless the policy says so, a build step must not get a network that tasks may not have.
    buildNetworks: given.buildNetworks ?? given.networks ?? base.buildNetworks,
    capAdd:
      given.capAdd?.map((name, i) => parseCapability(name, `allow.capAdd[${i}]`)) ?? base.capAdd,
  };
}

const parsePaths = (paths: readonly string[] | undefined, field: string) =>
  paths?.map((path, i) => parseAbsolutePath(path, `${field}[${i}]`));

/** A tenant's own terms override `tenantDefault`. */
function parseTenants({
  tenants = {},
  tenantDefault = {},
}: PolicyInput): Pick<Policy, 'tenants' | 'tenantDefault'> {
  const common = { ...DEFAULT_POLICY.tenantDefault, ...parseTerms(tenantDefault, 'tenantDefault') };
  const named = new Map<string, TenantTerms>();
  for (const [name, terms] of Object.entries(tenants)) {
    const field = `tenants.${name}`;
    if (!isTenantName(name)) throw invalidField(field, 'not the name of a tenant');
    named.set(name, { ...common, ...parseTerms(terms, field) });
  }
  return { tenants: named, tenantDefault: common };
}

const WEIGHTS = { min: 1, max: SPEC_BOUNDS.weightMax };
const MEMORY = { min: SPEC_BOUNDS.memoryBytesMin };

function parseTerms(
  { weight, cpus, memory, maxTasks }: PolicySection<'tenantDefault'>,
  section: string,
): Partial<TenantTerms> {
  return withoutUndefined({
    weight: weight === undefined ? undefined : parseCount(weight, `${section}.weight`, WEIGHTS),
    cpus: cpus === undefined ? undefined : parseCpus(cpus, `${section}.cpus`),
    memoryBytes: memory === undefined ? undefined : parseBytes(memory, `${section}.memory`, MEMORY),
    maxTasks:
      maxTasks === undefined ? undefined : parseCount(maxTasks, `${section}.maxTasks`, SLOTS),
  });
}

/** Lowers each default to its maximum. */
const lowerTo = (maxima: TaskLimits, defaults: AdmittedLimits): AdmittedLimits =>
  toLimits(({ limit, otherwise }) => {
    const most = maxima[limit] ?? Number.POSITIVE_INFINITY;
    // Without a default, the maximum is the default: a task that asks for nothing must not get more than one that asks.
    const usual =
      defaults[limit] ?? (otherwise !== undefined && most < otherwise ? most : undefined);
    return usual === undefined ? undefined : Math.min(usual, most);
  }) as AdmittedLimits;
