/** The shape of a policy file. */
import * as z from 'zod/mini';
import { DISK_MECHANISMS } from './policy.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

function buildPolicySchema() {
  const text = z.string().check(z.maxLength(SPEC_BOUNDS.pathBytes));
  const names = z.optional(z.array(text).check(z.maxLength(1024)));
  const quantity = z.optional(z.union([text, z.number()]));
  const choices = <const T extends readonly string[]>(all: T) =>
    z.optional(z.array(z.enum(all)).check(z.maxLength(all.length)));
  const throttles = z.optional(z.array(text).check(z.maxLength(SPEC_BOUNDS.throttles)));
  const limits = z.strictObject({
    memory: quantity,
    cpus: quantity,
    pids: quantity,
    timeout: quantity,
    output: quantity,
    cpuTime: quantity,
    cpuShares: quantity,
    deviceReadBps: throttles,
    deviceWriteBps: throttles,
    deviceReadIops: throttles,
    deviceWriteIops: throttles,
    disk: quantity,
  });
  const tenant = z.strictObject({
    weight: quantity,
    cpus: quantity,
    memory: quantity,
    maxTasks: quantity,
  });
  const reserves = z.strictObject({ memory: quantity, disk: quantity });
  const allow = z.strictObject({
    bundles: names,
    runtimes: names,
    bindSources: names,
    networks: choices(['none', 'host']),
    userns: choices(['auto', 'host']),
    pid: choices(['private', 'host']),
    capAdd: names,
    seccomp: choices(['bundle', 'file', 'unconfined']),
    newPrivileges: z.optional(z.boolean()),
  });
  const disk = z.strictObject({ mechanism: z.optional(z.enum(DISK_MECHANISMS)) });
  return z.strictObject({
    defaults: z.optional(limits),
    maxima: z.optional(limits),
    allow: z.optional(allow),
    slots: quantity,
    reserves: z.optional(reserves),
    tenants: z.optional(z.record(z.string(), tenant)),
    tenantDefault: z.optional(tenant),
    disk: z.optional(disk),
  });
}

type PolicySchema = ReturnType<typeof buildPolicySchema>;
export type PolicyInput = z.infer<PolicySchema>;
export type LimitsInput = NonNullable<PolicyInput['defaults']>;
export type TenantInput = NonNullable<PolicyInput['tenantDefault']>;
export type PermissionsInput = NonNullable<PolicyInput['allow']>;

let schema: PolicySchema | undefined;

/** The schema, built when first asked for: most hosts have no policy file, and every millisecond of a one-shot start counts. */
export function policySchema(): PolicySchema {
  schema ??= buildPolicySchema();
  return schema;
}
