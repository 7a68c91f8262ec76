/** What one worker reserves and waits for, and how much that leaves for others. Pure. */
import type { Needs } from '../../taken-job.ts';
import { addNeeds, NO_NEEDS, subtractNeeds } from './needs.ts';

/** Room that is kept free for a waiting job. */
export interface Claim {
  readonly needs: Needs;
  /** Since when the job waits, by the clock that all processes share. The older claim comes first. */
  readonly sinceMs: number;
}

/** What a worker publishes to the other workers of the machine. */
export interface Share {
  readonly reserved: Needs;
  readonly claims: readonly Claim[];
  /** The number of jobs by tenant. */
  readonly tenants: Readonly<Record<string, number>>;
}

/** The rest of `total` for a job that has waited since `sinceMs`; later claims do not count. */
export function roomIn(total: Needs, shares: readonly Share[], sinceMs: number): Needs {
  const taken = shares.flatMap(({ reserved, claims }) => [
    reserved,
    ...claims.filter((claim) => claim.sinceMs < sinceMs).map(({ needs }) => needs),
  ]);
  return subtractNeeds(total, taken.reduce(addNeeds, NO_NEEDS));
}

export const tasksOf = (tenant: string, shares: readonly Share[]): number =>
  shares.reduce((sum, { tenants }) => sum + (tenants[tenant] ?? 0), 0);
