/** The policy as a worker last read it: what it needs to decide which jobs to take. */
import type { TenantName } from '../../core/ids.ts';
import type { Policy } from '../../spec/policy.ts';
import type { TenantTerms } from '../../spec/task-spec.ts';

const READ_AGAIN_MS = 1_000;

export class PolicyView {
  readonly #read: () => Promise<Policy>;
  #policy: Policy;
  #readAt: number;

  private constructor(read: () => Promise<Policy>, policy: Policy) {
    this.#read = read;
    this.#policy = policy;
    this.#readAt = performance.now();
  }

  static async open(read: () => Promise<Policy>): Promise<PolicyView> {
    return new PolicyView(read, await read());
  }

  get last(): Policy {
    return this.#policy;
  }

  /** Not older than a second. Rejects as the read does. */
  async current(): Promise<Policy> {
    const now = performance.now();
    if (now - this.#readAt < READ_AGAIN_MS) return this.#policy;
    this.#policy = await this.#read();
    this.#readAt = now;
    return this.#policy;
  }

  termsOf(tenant: TenantName | undefined): TenantTerms {
    const { tenants, tenantDefault } = this.#policy;
    return (tenant === undefined ? undefined : tenants.get(tenant)) ?? tenantDefault;
  }
}
