/** The shape of a policy file. docs/policy.md has units, bounds and defaults. */
import {
  allOptional,
  type FieldReaders,
  flag,
  listOf,
  mapOf,
  numberOr,
  objectOf,
  oneOf,
  optional,
  textUpTo,
} from '../core/read-fields.ts';
import { readInput } from './field-errors.ts';
import { LIMITS, THROTTLE_FIELDS, type ThrottleInput } from './limits.ts';
import type { LIMIT_OPTIONS } from './options/limit-options.ts';
import {
  DISK_MECHANISMS,
  NETWORKS,
  type Permissions,
  PID_MODES,
  type Policy,
  SECCOMP_KINDS,
  TASK_ORIGINS,
  USERNS_MODES,
} from './policy.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

type Quantity = string | number;

/** The fields come from the table of options. */
export type LimitsInput = ThrottleInput & {
  readonly [F in keyof typeof LIMIT_OPTIONS as (typeof LIMIT_OPTIONS)[F]['policy']]?: Quantity;
};

/** Maxima of resource limits have no counterpart in the defaults: the bundle template sets those. */
export type MaximaInput = LimitsInput & { readonly ulimits?: readonly string[] };

export interface TenantInput {
  readonly weight?: Quantity;
  readonly cpus?: Quantity;
  readonly memory?: Quantity;
  readonly maxTasks?: Quantity;
}

export interface ReservesInput {
  readonly memory?: Quantity;
  readonly disk?: Quantity;
}

export interface BindsInput {
  readonly owner?: Quantity;
}

export interface ReportsInput {
  readonly count?: Quantity;
  readonly size?: Quantity;
  readonly age?: Quantity;
  readonly log?: Quantity;
}

export interface BuildsInput {
  readonly jobs?: boolean;
  readonly cache?: Quantity;
  readonly cacheAge?: Quantity;
}

export interface JobsInput {
  readonly payload?: Quantity;
  readonly config?: Quantity;
  readonly timeout?: Quantity;
  readonly retries?: Quantity;
}

export interface WorkerInput {
  readonly memory?: Quantity;
  readonly cpus?: Quantity;
  readonly disk?: Quantity;
}

export type PermissionsInput = Partial<Permissions>;

export interface PolicyInput {
  readonly defaults?: LimitsInput;
  readonly maxima?: MaximaInput;
  readonly allow?: PermissionsInput;
  readonly slots?: Quantity;
  readonly reserves?: ReservesInput;
  readonly tenants?: Readonly<Record<string, TenantInput>>;
  readonly tenantDefault?: TenantInput;
  readonly disk?: Partial<Policy['disk']>;
  readonly reports?: ReportsInput;
  readonly builds?: BuildsInput;
  readonly jobs?: JobsInput;
  readonly worker?: WorkerInput;
  readonly binds?: BindsInput;
}

const MAX_NAMES = 1024;

const text = textUpTo(SPEC_BOUNDS.pathBytes);
const names = listOf(text, MAX_NAMES);
const quantity = numberOr(text);
const throttles = listOf(text, SPEC_BOUNDS.throttles);
const choices = <const T extends string>(...all: readonly T[]) => listOf(oneOf(...all), all.length);

const limits = Object.fromEntries([
  ...LIMITS.map(({ policy }) => [policy, optional(quantity)]),
  ...THROTTLE_FIELDS.map(([, field]) => [field, optional(throttles)]),
]) as FieldReaders<LimitsInput>;
const maxima = {
  ...limits,
  ulimits: optional(listOf(text, SPEC_BOUNDS.ulimits)),
} as FieldReaders<MaximaInput>;
const allow = allOptional<PermissionsInput>({
  bundles: names,
  runtimes: names,
  bindSources: names,
  inputs: names,
  outputs: names,
  devices: names,
  networks: choices(...NETWORKS),
  buildNetworks: choices(...NETWORKS),
  userns: choices(...USERNS_MODES),
  pid: choices(...PID_MODES),
  capAdd: names,
  seccomp: choices(...SECCOMP_KINDS),
  newPrivileges: flag,
  exec: choices(...TASK_ORIGINS),
});
const reserves = allOptional<ReservesInput>({ memory: quantity, disk: quantity });
const tenant = allOptional<TenantInput>({
  weight: quantity,
  cpus: quantity,
  memory: quantity,
  maxTasks: quantity,
});
const disk = allOptional<NonNullable<PolicyInput['disk']>>({
  mechanism: oneOf(...DISK_MECHANISMS),
});

const reports = allOptional<ReportsInput>({
  count: quantity,
  size: quantity,
  age: quantity,
  log: quantity,
});
const builds = allOptional<BuildsInput>({ jobs: flag, cache: quantity, cacheAge: quantity });
const jobs = allOptional<JobsInput>({
  payload: quantity,
  config: quantity,
  timeout: quantity,
  retries: quantity,
});

const worker = allOptional<WorkerInput>({ memory: quantity, cpus: quantity, disk: quantity });

const binds = allOptional<BindsInput>({ owner: quantity });

/** The fields of each section. */
export const POLICY_SECTIONS = {
  defaults: limits,
  maxima,
  allow,
  reserves,
  tenantDefault: tenant,
  disk,
  reports,
  builds,
  jobs,
  worker,
  binds,
} as const;

const readers = allOptional<PolicyInput>({
  defaults: objectOf<LimitsInput>(limits),
  maxima: objectOf<MaximaInput>(maxima),
  allow: objectOf<PermissionsInput>(allow),
  slots: quantity,
  reserves: objectOf<ReservesInput>(reserves),
  tenants: mapOf(objectOf<TenantInput>(tenant)),
  tenantDefault: objectOf<TenantInput>(tenant),
  disk: objectOf<NonNullable<PolicyInput['disk']>>(disk),
  reports: objectOf<ReportsInput>(reports),
  builds: objectOf<BuildsInput>(builds),
  jobs: objectOf<JobsInput>(jobs),
  worker: objectOf<WorkerInput>(worker),
  binds: objectOf<BindsInput>(binds),
});

/** The fields of the whole file. */
export const POLICY_FIELDS = Object.keys(readers) as readonly (keyof PolicyInput)[];

const policy = objectOf<PolicyInput>(readers);

/** Checks types, names and counts in a policy file. Throws ERR_STACKSHIM_SPEC_INVALID that names the first invalid field. */
export const parsePolicyInput = (input: unknown): PolicyInput => readInput(policy, input, 'policy');
