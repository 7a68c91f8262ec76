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
  type Reader,
  textUpTo,
} from '../core/read-fields.ts';
import { readInput } from './field-errors.ts';
import { LIMITS, THROTTLE_FIELDS, type ThrottleField } from './limits.ts';
import type { LIMIT_OPTIONS } from './options/limit-options.ts';
import {
  DISK_MECHANISMS,
  NETWORKS,
  PID_MODES,
  SECCOMP_KINDS,
  TASK_ORIGINS,
  USERNS_MODES,
} from './policy.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

const MAX_NAMES = 1024;

const text = textUpTo(SPEC_BOUNDS.pathBytes);
const names = listOf(text, MAX_NAMES);
const quantity = numberOr(text);
const throttles = listOf(text, SPEC_BOUNDS.throttles);
const choices = <const T extends string>(...all: readonly T[]) => listOf(oneOf(...all), all.length);

type LimitRows = typeof LIMIT_OPTIONS;
type PolicyName<F extends keyof LimitRows> = LimitRows[F] extends {
  readonly policy: infer P extends string;
}
  ? P
  : F;
type Readers = Readonly<Record<string, Reader<unknown>>>;
/** What a section's readers return; every field may be missing. */
type Section<R> = { readonly [F in keyof R]?: R[F] extends Reader<infer T> ? T : never };

/** The fields come from the table of options. */
const limits = Object.fromEntries<Reader<unknown>>([
  ...LIMITS.map(({ policy }) => [policy, quantity] as const),
  ...THROTTLE_FIELDS.map(([, field]) => [field, throttles] as const),
]) as { readonly [F in keyof LimitRows as PolicyName<F>]: typeof quantity } & {
  readonly [F in ThrottleField]: typeof throttles;
};
const tenant = { weight: quantity, cpus: quantity, memory: quantity, maxTasks: quantity };

/** The fields of each section. */
export const POLICY_SECTIONS = {
  defaults: limits,
  // Resource limits have maxima but no defaults here: the bundle template sets their defaults.
  maxima: { ...limits, ulimits: listOf(text, SPEC_BOUNDS.ulimits) },
  allow: {
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
  },
  reserves: { memory: quantity, disk: quantity },
  tenantDefault: tenant,
  disk: { mechanism: oneOf(...DISK_MECHANISMS) },
  reports: { count: quantity, size: quantity, age: quantity, log: quantity },
  builds: { jobs: flag, cache: quantity, cacheAge: quantity },
  jobs: { payload: quantity, config: quantity, timeout: quantity, retries: quantity },
  worker: { memory: quantity, cpus: quantity, disk: quantity },
  binds: { owner: quantity },
} as const;

type Sections = typeof POLICY_SECTIONS;
export type PolicySection<S extends keyof Sections> = Section<Sections[S]>;

export type PolicyInput = { readonly [S in keyof Sections]?: PolicySection<S> } & {
  readonly slots?: string | number;
  readonly tenants?: Readonly<Record<string, PolicySection<'tenantDefault'>>>;
};

const section = <R extends Readers>(readers: R) =>
  objectOf<Section<R>>(allOptional(readers) as FieldReaders<Section<R>>);

const readers = allOptional<PolicyInput>({
  defaults: section(POLICY_SECTIONS.defaults),
  maxima: section(POLICY_SECTIONS.maxima),
  allow: section(POLICY_SECTIONS.allow),
  slots: quantity,
  reserves: section(POLICY_SECTIONS.reserves),
  tenants: mapOf(section(tenant)),
  tenantDefault: section(tenant),
  disk: section(POLICY_SECTIONS.disk),
  reports: section(POLICY_SECTIONS.reports),
  builds: section(POLICY_SECTIONS.builds),
  jobs: section(POLICY_SECTIONS.jobs),
  worker: section(POLICY_SECTIONS.worker),
  binds: section(POLICY_SECTIONS.binds),
});

/** The fields of the whole file. */
export const POLICY_FIELDS = Object.keys(readers) as readonly (keyof PolicyInput)[];

const policy = objectOf<PolicyInput>(readers);

/** Checks types, names and counts in a policy file. Throws ERR_STACKSHIM_SPEC_INVALID that names the first invalid field. */
export const parsePolicyInput = (input: unknown): PolicyInput => readInput(policy, input, 'policy');
