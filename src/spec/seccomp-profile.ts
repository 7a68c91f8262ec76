/** Seccomp profiles as read from files: the OCI form, and docker's form with conditions. */

import * as z from 'zod/mini';
import { checkSafely } from '../core/check-safely.ts';
import { invalidField } from './field-errors.ts';

/** A rule holds with all of `caps` and on one of `arches` (in Go's names: `amd64`). */
export interface SeccompCondition {
  readonly caps?: readonly string[] | undefined;
  readonly arches?: readonly string[] | undefined;
}

export interface SeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number | undefined;
  /** `SCMP_CMP_EQ`, `SCMP_CMP_MASKED_EQ`, … */
  readonly op: string;
}

/**
 * Matches every value of an argument except `values`. A filter can only compare masked bits of an argument with a constant, so `others`
 * lists the matches: each is every value whose bits of `mask` equal `value`. No other bits are compared, so bits that the kernel ignores
 * cannot evade the rule.
 */
export interface SeccompException {
  readonly index: number;
  readonly values: readonly number[];
  readonly others: readonly { readonly mask: number; readonly value: number }[];
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number | undefined;
  readonly args?: readonly SeccompArgument[] | undefined;
  /** Only in the bundle's own profile: neither OCI nor docker has a form for this. */
  readonly except?: SeccompException | undefined;
  readonly includes?: SeccompCondition | undefined;
  readonly excludes?: SeccompCondition | undefined;
}

export interface SeccompProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number | undefined;
  readonly syscalls: readonly SeccompRule[];
}

/** Actions that a profile may use. Actions that hand decisions to another process are missing. */
const ACTIONS = ['ALLOW', 'ERRNO', 'KILL', 'KILL_PROCESS', 'KILL_THREAD', 'LOG', 'TRAP'].map(
  (action) => `SCMP_ACT_${action}`,
);
const OPERATORS = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((op) => `SCMP_CMP_${op}`);

function buildProfileSchema() {
  const errno = z.optional(z.number().check(z.int(), z.minimum(0), z.maximum(4095)));
  const word = z.string().check(z.regex(/^[A-Za-z0-9_]{1,64}$/));
  const unsigned = z.number().check(z.int(), z.minimum(0));
  const unused = z.optional(z.nullable(z.unknown()));

  const condition = z.optional(
    z.strictObject({
      caps: z.optional(z.array(word).check(z.maxLength(64))),
      arches: z.optional(z.array(word).check(z.maxLength(32))),
      minKernel: z.optional(z.string().check(z.maxLength(32))),
    }),
  );

  const argument = z.strictObject({
    index: z.number().check(z.int(), z.minimum(0), z.maximum(5)),
    value: unsigned,
    valueTwo: z.optional(unsigned),
    op: z.enum(OPERATORS),
  });

  const rule = z.strictObject({
    names: z.optional(z.array(word).check(z.maxLength(1024))),
    name: z.optional(word),
    action: z.enum(ACTIONS),
    errnoRet: errno,
    args: z.optional(z.nullable(z.array(argument).check(z.maxLength(6)))),
    comment: z.optional(z.string()),
    includes: condition,
    excludes: condition,
  });

  return z.strictObject({
    defaultAction: z.enum(ACTIONS),
    defaultErrnoRet: errno,
    // Whatever a profile lists, only the native architecture is enabled.
    architectures: unused,
    archMap: unused,
    syscalls: z.optional(z.array(rule).check(z.maxLength(2048))),
  });
}

/**
 * Checks a caller's seccomp profile, in OCI's form or docker's. `minKernel` counts as satisfied. Throws ERR_STACKSHIM_SPEC_INVALID
 * (`securityOpt`).
 */
export function parseSeccompProfile(input: unknown): SeccompProfile {
  const parsed = checkSafely(() => z.safeParse(buildProfileSchema(), input, { jitless: true }));
  if (!parsed?.success) {
    throw invalidField('securityOpt', `seccomp profile: ${describeIssue(parsed?.error.issues[0])}`);
  }
  const { defaultAction, defaultErrnoRet, syscalls = [] } = parsed.data;
  return {
    defaultAction,
    defaultErrnoRet,
    syscalls: syscalls.map(({ name, names = [], args, comment: _, ...rule }) => ({
      ...rule,
      names: name === undefined ? names : [name, ...names],
      args: args ?? undefined,
    })),
  };
}

/** Formats `<field>: <problem>`. */
function describeIssue(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return 'profile: not valid';
  if (issue.code === 'unrecognized_keys') {
    return `${fieldName([...issue.path, issue.keys[0] ?? ''])}: no such field`;
  }
  return `${fieldName(issue.path) || 'profile'}: ${problemOf(issue)}`;
}

function problemOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.expected === 'int') return 'not a whole number';
      return `not ${/^[aeiou]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}`;
    case 'too_big':
      return `more than ${String(issue.maximum)} ${UNITS[issue.origin] ?? ''}`;
    case 'too_small':
      return `less than ${String(issue.minimum)} ${UNITS[issue.origin] ?? ''}`;
    case 'invalid_value':
      return `not ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    default:
      return 'not valid';
  }
}

const UNITS: Readonly<Record<string, string>> = { string: 'characters', array: 'elements' };

function fieldName(path: readonly PropertyKey[]): string {
  let name = '';
  for (const step of path) {
    if (typeof step === 'number') name += `[${step}]`;
    else name += name === '' ? String(step) : `.${String(step)}`;
  }
  // Cut a hostile key to a readable length.
  return name.length > 200 ? `${name.slice(0, 200)}…` : name;
}
