/** Resolves a seccomp profile with conditions to the rules for one task on one architecture. */
import { StackshimError } from '../core/errors.ts';
import type { SeccompProfile, SeccompRule } from '../spec/seccomp-profile.ts';
import type { OciSeccomp, OciSeccompRule } from './oci-config.ts';

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
 * Resolves a profile's conditions. Rules without arguments and with the same outcome are merged, because each rule costs start-up time.
 * System calls of other architectures stay forbidden. Throws ERR_STACKSHIM_HOST_UNSUPPORTED on an unsupported architecture.
 */
export function buildSeccomp(profile: SeccompProfile, context: SeccompContext): OciSeccomp {
  const { architecture } = context;
  const scmp = scmpNames[architecture];
  if (scmp === undefined) {
    const text = `build seccomp rules: architecture ${architecture} is not supported`;
    throw new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', text);
  }
  const groups = new Map<string, { readonly rule: SeccompRule; readonly names: Set<string> }>();
  const withArguments: SeccompRule[] = [];
  const held = profile.syscalls.filter((rule) => holds(rule, context));
  for (const rule of held.flatMap(withoutException)) {
    if (rule.args !== undefined && rule.args.length > 0) {
      withArguments.push(rule);
      continue;
    }
    const outcome = outcomeOf(rule);
    const group = groups.get(outcome) ?? { rule, names: new Set() };
    for (const name of rule.names) group.names.add(name);
    groups.set(outcome, group);
  }
  const rules = Array.from(groups.values(), ({ rule, names }) => toRule(rule, [...names]));
  for (const rule of withArguments) {
    // Drop a call that the group already has, with the same outcome for any arguments.
    const group = groups.get(outcomeOf(rule));
    rules.push(
      toRule(
        rule,
        rule.names.filter((name) => !group?.names.has(name)),
      ),
    );
  }
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    architectures: [scmp],
    syscalls: rules.filter(({ names }) => names.length > 0),
  };
}

function holds(
  { includes = {}, excludes = {} }: SeccompRule,
  { capabilities, architecture }: SeccompContext,
): boolean {
  const isHeld = (capability: string) => capabilities.includes(capability);
  const { caps = [], arches = [] } = includes;
  if (!caps.every(isHeld) || excludes.caps?.some(isHeld)) return false;
  if (arches.length > 0 && !arches.includes(architecture)) return false;
  return !excludes.arches?.includes(architecture);
}

/** Splits a rule with an exception into rules that each compare the argument once. */
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

const toRule = (
  { action, errnoRet, args }: SeccompRule,
  names: readonly string[],
): OciSeccompRule => ({
  names,
  action,
  errnoRet,
  args: args === undefined || args.length === 0 ? undefined : args,
});
