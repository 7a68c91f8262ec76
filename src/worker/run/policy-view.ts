/** The policy as a worker last read it, to decide which jobs to take. */
import type { TenantName } from '../../core/ids.ts';
import type { Policy } from '../../spec/policy.ts';

const READ_AGAIN_MS = 1_000;

export type PolicyView = Awaited<ReturnType<typeof openPolicyView>>;

export async function openPolicyView(read: () => Promise<Policy>) {
  let policy = await read();
  let readAt = performance.now();
  return {
    last: () => policy,
    /** Resolves to a policy not older than a second. Rejects as `read` does. */
    async current(): Promise<Policy> {
      const now = performance.now();
      if (now - readAt < READ_AGAIN_MS) return policy;
      policy = await read();
      readAt = now;
      return policy;
    },
    termsOf: (tenant: TenantName | undefined) =>
      (tenant === undefined ? undefined : policy.tenants.get(tenant)) ?? policy.tenantDefault,
  };
}
