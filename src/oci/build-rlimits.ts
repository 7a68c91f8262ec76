/** Resource limits of a task's process. */
import type { Ulimit, UlimitMaxima } from '../spec/task-spec.ts';
import type { OciRlimit } from './oci-config.ts';

export interface RlimitBounds {
  /** Of this process, by OCI name; one that is absent does not bound. */
  readonly hardLimits: Readonly<Record<string, number>>;
  /** The policy's. */
  readonly maxima: UlimitMaxima;
}

/**
 * The template's limits with the task's in their place, none above the host's hard limit: a runtime without CAP_SYS_RESOURCE
 * would fail to set it. What neither names a process inherits from its caller, and so it is set where the caller has more than the
 * policy lets tasks have.
 */
export function buildRlimits(
  base: readonly OciRlimit[],
  ulimits: readonly Ulimit[],
  { hardLimits, maxima }: RlimitBounds,
): readonly OciRlimit[] {
  const limits = new Map<string, OciRlimit>();
  for (const { type, soft, hard } of [...base, ...ulimits]) {
    const most = Math.min(hardLimits[type] ?? Infinity, maxima[type] ?? Infinity);
    limits.set(type, { type, soft: Math.min(soft, most), hard: Math.min(hard, most) });
  }
  for (const [type, most] of Object.entries(maxima)) {
    if (limits.has(type) || (hardLimits[type] ?? 0) <= most) continue;
    limits.set(type, { type, soft: most, hard: most });
  }
  return [...limits.values()];
}
