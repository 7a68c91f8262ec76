/** The shape of a policy file. */
import * as z from 'zod/mini';
import { SPEC_BOUNDS } from './spec-bounds.ts';

function buildPolicySchema() {
  const text = z.string().check(z.maxLength(SPEC_BOUNDS.pathBytes));
  const names = z.optional(z.array(text).check(z.maxLength(1024)));
  const quantity = z.optional(z.union([text, z.number()]));
  const choices = <const T extends readonly string[]>(all: T) =>
    z.optional(z.array(z.enum(all)).check(z.maxLength(all.length)));
  const limits = z.strictObject({
    memory: quantity,
    cpus: quantity,
    pids: quantity,
    timeout: quantity,
    output: quantity,
  });
  const allow = z.strictObject({
    bundles: names,
    runtimes: names,
    bindSources: names,
    networks: choices(['none', 'host']),
    userns: choices(['auto', 'host']),
    capAdd: names,
    seccomp: choices(['bundle', 'file', 'unconfined']),
    newPrivileges: z.optional(z.boolean()),
  });
  return z.strictObject({
    defaults: z.optional(limits),
    maxima: z.optional(limits),
    allow: z.optional(allow),
  });
}

type PolicySchema = ReturnType<typeof buildPolicySchema>;
type PolicyInput = z.infer<PolicySchema>;
export type LimitsInput = NonNullable<PolicyInput['defaults']>;
export type PermissionsInput = NonNullable<PolicyInput['allow']>;

let schema: PolicySchema | undefined;

/** The schema, built when first asked for: most hosts have no policy file, and every millisecond of a one-shot start counts. */
export function policySchema(): PolicySchema {
  schema ??= buildPolicySchema();
  return schema;
}
