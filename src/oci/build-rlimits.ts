/** Resource limits of a task's process. */
import type { Ulimit } from '../spec/task-spec.ts';
import type { OciRlimit } from './oci-config.ts';

/**
 * The template's limits with the task's in their place, none above the host's hard limit: a runtime without CAP_SYS_RESOURCE
 * would fail to set it. `hardLimits` by OCI name; one that is absent does not bound.
 */
export function buildRlimits(
  base: readonly OciRlimit[],
  ulimits: readonly Ulimit[],
  hardLimits: Readonly<Record<string, number>>,
): readonly OciRlimit[] {
  const limits = new Map<string, OciRlimit>();
  for (const { type, soft, hard } of [...base, ...ulimits]) {
    const most = hardLimits[type] ?? Number.POSITIVE_INFINITY;
    limits.set(type, { type, soft: Math.min(soft, most), hard: Math.min(hard, most) });
  }
  return [...limits.values()];
}
