/** A seccomp profile with its conditions -> the rules for one task on one architecture. */
import { StackshimError } from '../core/errors.ts';
import type {
  SeccompArgument,
  SeccompCondition,
  SeccompProfile,
  SeccompRule,
} from '../spec/seccomp-profile.ts';
import type { OciSeccomp, OciSeccompArgument, OciSeccompRule } from './oci-config.ts';

export interface SeccompContext {
  /** Named as in OCI images. */
  readonly architecture: string;
  /** The task's bounding set. */
  readonly capabilities: readonly string[];
}

const scmpNames: Readonly<Record<string, string>> = {
  amd64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
};

/**
 * Resolves a profile's conditions. Rules without arguments and with the same outcome become one rule, because each rule costs start-up time.
 * System calls of other architectures stay forbidden. Throws ERR_STACKSHIM_HOST_UNSUPPORTED on an unsupported architecture.
 */
export function buildSeccomp(profile: SeccompProfile, context: SeccompContext): OciSeccomp {
  const { architecture } = context;
  const scmp = scmpNames[architecture];
  if (scmp === undefined) {
    throw new StackshimError(
      'ERR_STACKSHIM_HOST_UNSUPPORTED',
      `build seccomp rules: architecture ${architecture} is not supported`,
    );
  }
  const grouped = new Map<string, Set<string>>();
  const outcomes = new Map<string, SeccompRule>();
  const withArguments: SeccompRule[] = [];
  const held = profile.syscalls.filter((rule) => holds(rule, context.capabilities, architecture));
  for (const rule of held.flatMap(withoutException)) {
    if (rule.args !== undefined && rule.args.length > 0) {
      withArguments.push(rule);
      continue;
    }
    const outcome = outcomeOf(rule);
    const names = grouped.get(outcome) ?? new Set();
    for (const name of rule.names) names.add(name);
    grouped.set(outcome, names);
    outcomes.set(outcome, rule);
  }
  const syscalls: OciSeccompRule[] = [];
  for (const [outcome, names] of grouped) {
    const rule = outcomes.get(outcome);
    if (rule !== undefined && names.size > 0) syscalls.push(toRule(rule, [...names]));
  }
  for (const rule of withArguments) {
    // Drop this rule if its call is already in the group with the same outcome for any arguments.
    const group = grouped.get(outcomeOf(rule));
    const names = rule.names.filter((name) => group === undefined || !group.has(name));
    if (names.length > 0) syscalls.push(toRule(rule, names));
  }
  const { defaultAction, defaultErrnoRet } = profile;
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    architectures: [scmp],
    syscalls,
  };
}

function holds(rule: SeccompRule, capabilities: readonly string[], arch: string): boolean {
  const { includes = {}, excludes = {} } = rule;
  return (
    (includes.caps ?? []).every((capability) => capabilities.includes(capability)) &&
    (includes.arches === undefined ||
      includes.arches.length === 0 ||
      includes.arches.includes(arch)) &&
    !isExcluded(excludes, capabilities, arch)
  );
}

function isExcluded(
  excludes: SeccompCondition,
  capabilities: readonly string[],
  arch: string,
): boolean {
  return (
    (excludes.caps ?? []).some((capability) => capabilities.includes(capability)) ||
    (excludes.arches ?? []).includes(arch)
  );
}

/** A filter can only state the values that a rule matches, and allows one comparison per argument. */
function withoutException({ except, args = [], ...rule }: SeccompRule): readonly SeccompRule[] {
  if (except === undefined) return [{ ...rule, args }];
  const { index, bits, values } = except;
  return exceptValues(values, bits).map(({ mask, value }) => ({
    ...rule,
    args: [...args, { index, value: mask, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' }],
  }));
}

function outcomeOf({ action, errnoRet }: SeccompRule): string {
  return `${action} ${errnoRet ?? ''}`;
}

function toRule({ action, errnoRet, args }: SeccompRule, names: readonly string[]): OciSeccompRule {
  return {
    names,
    action,
    ...(errnoRet === undefined ? {} : { errnoRet }),
    ...(args === undefined || args.length === 0 ? {} : { args: args.map(toArgument) }),
  };
}

function toArgument({ index, value, valueTwo, op }: SeccompArgument): OciSeccompArgument {
  return { index, value, ...(valueTwo === undefined ? {} : { valueTwo }), op };
}

/** Matches every value whose bits of `mask` are those of `value`. */
export interface MaskedValue {
  readonly mask: number;
  readonly value: number;
}

/**
 * Pairs that together match every value that is not in `values`, each such value exactly once, and none of `values`. Only `bits`, at most 31, are
 * compared: values that are equal in these bits count as one value.
 */
export function exceptValues(values: readonly number[], bits: number): readonly MaskedValue[] {
  const all = Array.from({ length: 31 }, (_, bit) => 2 ** bit).filter((bit) => (bits & bit) !== 0);
  return split({ mask: 0, value: 0 }, { values, free: all });
}

interface Rest {
  readonly values: readonly number[];
  /** Bits that were not compared yet. */
  readonly free: readonly number[];
}

function split({ mask, value }: MaskedValue, { values, free }: Rest): readonly MaskedValue[] {
  const [first] = values;
  if (first === undefined) return [{ mask, value }];
  // Start with the bits in which all values agree: each needs only one pair for all values.
  const shared = free.filter((bit) => values.every((one) => ((one ^ first) & bit) === 0));
  const differing = free.filter((bit) => !shared.includes(bit));
  const found: MaskedValue[] = [];
  let known = { mask, value };
  for (const bit of shared) {
    const kept = first & bit;
    found.push({ mask: known.mask | bit, value: known.value | (bit ^ kept) });
    known = { mask: known.mask | bit, value: known.value | kept };
  }
  const [bit, ...others] = differing.reverse();
  if (bit === undefined) return found;
  for (const kept of [0, bit]) {
    const half = values.filter((one) => (one & bit) === kept);
    const from = { mask: known.mask | bit, value: known.value | kept };
    found.push(...split(from, { values: half, free: others.toReversed() }));
  }
  return found;
}
