/** The shape of a policy file. docs/policy.md has units, bounds and defaults. */
import {
  allOptional,
  flag,
  listOf,
  mapOf,
  numberOr,
  objectOf,
  oneOf,
  textUpTo,
} from '../core/read-fields.ts';
import { DISK_MECHANISMS, type Permissions, type Policy } from './policy.ts';
import { readInput } from './read-input.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

type Quantity = string | number;

export interface LimitsInput {
  readonly memory?: Quantity;
  readonly cpus?: Quantity;
  readonly pids?: Quantity;
  readonly timeout?: Quantity;
  readonly stopTimeout?: Quantity;
  readonly output?: Quantity;
  readonly cpuTime?: Quantity;
  readonly cpuShares?: Quantity;
  readonly deviceReadBps?: readonly string[];
  readonly deviceWriteBps?: readonly string[];
  readonly deviceReadIops?: readonly string[];
  readonly deviceWriteIops?: readonly string[];
  readonly disk?: Quantity;
}

/** Maxima of resource limits have no counterpart among the defaults: those of the bundle template hold. */
export interface MaximaInput extends LimitsInput {
  readonly ulimits?: readonly string[];
}

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
  readonly binds?: BindsInput;
}

const MOST_NAMES = 1024;

const text = textUpTo(SPEC_BOUNDS.pathBytes);
const names = listOf(text, MOST_NAMES);
const quantity = numberOr(text);
const throttles = listOf(text, SPEC_BOUNDS.throttles);
const choices = <const T extends string>(...all: readonly T[]) => listOf(oneOf(...all), all.length);

const limitReaders = {
  memory: quantity,
  cpus: quantity,
  pids: quantity,
  timeout: quantity,
  stopTimeout: quantity,
  output: quantity,
  cpuTime: quantity,
  cpuShares: quantity,
  deviceReadBps: throttles,
  deviceWriteBps: throttles,
  deviceReadIops: throttles,
  deviceWriteIops: throttles,
  disk: quantity,
};
const limits = allOptional<LimitsInput>(limitReaders);
const maxima = allOptional<MaximaInput>({
  ...limitReaders,
  ulimits: listOf(text, SPEC_BOUNDS.ulimits),
});
const allow = allOptional<PermissionsInput>({
  bundles: names,
  runtimes: names,
  bindSources: names,
  inputs: names,
  devices: names,
  networks: choices('none', 'host'),
  userns: choices('auto', 'host'),
  pid: choices('private', 'host'),
  capAdd: names,
  seccomp: choices('bundle', 'file', 'unconfined'),
  newPrivileges: flag,
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

const binds = allOptional<BindsInput>({ owner: quantity });

/** What each section may hold. */
export const POLICY_SECTIONS = {
  defaults: limits,
  maxima,
  allow,
  reserves,
  tenantDefault: tenant,
  disk,
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
  binds: objectOf<BindsInput>(binds),
});

/** Every field of the whole. */
export const POLICY_FIELDS = Object.keys(readers) as readonly (keyof PolicyInput)[];

const policy = objectOf<PolicyInput>(readers);

/** Checks types, names and counts of what a policy file holds. Throws ERR_STACKSHIM_SPEC_INVALID that names the first field at fault. */
export const parsePolicyInput = (input: unknown): PolicyInput => readInput(policy, input, 'policy');
