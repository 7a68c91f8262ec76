/** The policy's terms for tenants: their weight, their cap, and how many tasks they may run at once. */
import { isTenantName } from '../core/ids.ts';
import { withoutUndefined } from '../core/read-fields.ts';
import { invalidField } from './field-errors.ts';
import type { Policy } from './policy.ts';
import type { PolicyInput, TenantInput } from './policy-input.ts';
import { parseBytes, parseCount, parseCpus } from './quantities.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { TenantTerms } from './task-spec.ts';

/** A tenant's own terms override `tenantDefault`. Throws ERR_STACKSHIM_SPEC_INVALID that names the field. */
export function parseTenants(
  { tenants = {}, tenantDefault = {} }: Pick<PolicyInput, 'tenants' | 'tenantDefault'>,
  base: TenantTerms,
): Pick<Policy, 'tenants' | 'tenantDefault'> {
  const common = { ...base, ...parseTerms(tenantDefault, 'tenantDefault') };
  const named = new Map<string, TenantTerms>();
  for (const [name, terms] of Object.entries(tenants)) {
    const field = `tenants.${name}`;
    if (!isTenantName(name)) throw invalidField(field, 'not the name of a tenant');
    named.set(name, { ...common, ...parseTerms(terms, field) });
  }
  return { tenants: named, tenantDefault: common };
}

function parseTerms(given: TenantInput, section: string): Partial<TenantTerms> {
  const { weight, cpus, memory, maxTasks } = given;
  const weights = { min: 1, max: SPEC_BOUNDS.weightMax };
  const tasks = { min: 0, max: SPEC_BOUNDS.liveTasksMax };
  const bytes = { min: SPEC_BOUNDS.memoryBytesMin };
  return withoutUndefined({
    weight: weight === undefined ? undefined : parseCount(weight, `${section}.weight`, weights),
    cpus: cpus === undefined ? undefined : parseCpus(cpus, `${section}.cpus`),
    memoryBytes: memory === undefined ? undefined : parseBytes(memory, `${section}.memory`, bytes),
    maxTasks:
      maxTasks === undefined ? undefined : parseCount(maxTasks, `${section}.maxTasks`, tasks),
  });
}
