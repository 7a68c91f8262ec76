/** unknown -> Policy. */
import * as z from 'zod/mini';
import { type ErrorOptions, StackshimError } from '../core/errors.ts';
import { describeIssue } from './describe-issue.ts';
import { parseBytes } from './parse-bytes.ts';
import { parseCapability } from './parse-capability.ts';
import { parseDuration } from './parse-duration.ts';
import { parseCount, parseCpus } from './parse-number.ts';
import { parseAbsolutePath } from './parse-path.ts';
import { DEFAULT_POLICY, type Permissions, type Policy } from './policy.ts';
import { type LimitsInput, type PermissionsInput, policySchema } from './policy-schema.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { TaskLimits } from './task-spec.ts';
import { withoutUndefined } from './without-undefined.ts';

/**
 * Parses what a policy file holds; a field that is absent has its value of {@link DEFAULT_POLICY}.
 * A default above its maximum is lowered to it. Throws ERR_STACKSHIM_POLICY_INVALID with `details.field`.
 */
export function parsePolicy(input: unknown): Policy {
  const parsed = z.safeParse(policySchema(), input, { jitless: true });
  if (!parsed.success) {
    const { field, problem } = describeIssue(parsed.error.issues[0], 'policy');
    throw invalidPolicy(`${field}: ${problem}`, { details: { field } });
  }
  const { defaults = {}, maxima = {}, allow: allowed = {} } = parsed.data;
  try {
    const most = parseLimits(maxima, 'maxima');
    return {
      defaults: lowerTo(most, { ...DEFAULT_POLICY.defaults, ...parseLimits(defaults, 'defaults') }),
      maxima: most,
      allow: parsePermissions(allowed),
    };
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    throw invalidPolicy(error.message, { details: error.details, cause: error });
  }
}

function invalidPolicy(problem: string, options: ErrorOptions): StackshimError {
  return new StackshimError('ERR_STACKSHIM_POLICY_INVALID', `policy ${problem}`, options);
}

function parseLimits(given: LimitsInput, section: string): TaskLimits {
  const { memory, cpus, pids, timeout, output } = given;
  const count = { min: 1, max: SPEC_BOUNDS.pidsMax };
  const wall = { min: 1, max: SPEC_BOUNDS.timeoutMsMax };
  const bytes = { min: SPEC_BOUNDS.memoryBytesMin };
  return withoutUndefined({
    memoryBytes: memory === undefined ? undefined : parseBytes(memory, `${section}.memory`, bytes),
    cpus: cpus === undefined ? undefined : parseCpus(cpus, `${section}.cpus`),
    pids: pids === undefined ? undefined : parseCount(pids, `${section}.pids`, count),
    timeoutMs:
      timeout === undefined ? undefined : parseDuration(timeout, `${section}.timeout`, wall),
    outputBytes:
      output === undefined ? undefined : parseBytes(output, `${section}.output`, { min: 1 }),
  });
}

function parsePermissions(given: PermissionsInput): Permissions {
  const base = DEFAULT_POLICY.allow;
  return {
    bundles: given.bundles ?? base.bundles,
    runtimes: given.runtimes ?? base.runtimes,
    bindSources:
      given.bindSources?.map((path, i) => parseAbsolutePath(path, `allow.bindSources[${i}]`)) ??
      base.bindSources,
    networks: given.networks ?? base.networks,
    userns: given.userns ?? base.userns,
    capAdd:
      given.capAdd?.map((name, i) => parseCapability(name, `allow.capAdd[${i}]`)) ?? base.capAdd,
    seccomp: given.seccomp ?? base.seccomp,
    newPrivileges: given.newPrivileges ?? base.newPrivileges,
  };
}

function lowerTo(maxima: TaskLimits, defaults: Required<TaskLimits>): Required<TaskLimits> {
  const lower = (value: number, most: number | undefined) => Math.min(value, most ?? value);
  return {
    memoryBytes: lower(defaults.memoryBytes, maxima.memoryBytes),
    cpus: lower(defaults.cpus, maxima.cpus),
    pids: lower(defaults.pids, maxima.pids),
    timeoutMs: lower(defaults.timeoutMs, maxima.timeoutMs),
    outputBytes: lower(defaults.outputBytes, maxima.outputBytes),
  };
}
