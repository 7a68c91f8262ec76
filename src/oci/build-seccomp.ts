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

/** Each rule compares an argument once. */
function withoutException({ except, args = [], ...rule }: SeccompRule): readonly SeccompRule[] {
  if (except === undefined) return [{ ...rule, args }];
  const { index, others } = except;
  return others.map(({ mask, value }) => ({
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
