/** The capabilities of a task. */
import { CAPABILITIES } from '../spec/parse-rights.ts';
import type { OciCapabilities } from './oci-config.ts';

export interface CapabilityChanges {
  /** `ALL` starts with every known capability. */
  readonly add: readonly string[];
  /** `ALL` starts with none. */
  readonly drop: readonly string[];
}

/** The bounding set: the template's list with docker's rules for `--cap-add` and `--cap-drop`, sorted. */
export function resolveCapabilities(
  base: readonly string[],
  { add, drop }: CapabilityChanges,
): readonly string[] {
  const start = drop.includes('ALL') ? [] : base;
  const kept = new Set(add.includes('ALL') ? CAPABILITIES : [...start, ...add]);
  for (const capability of drop) kept.delete(capability);
  return [...kept].sort();
}

/** A user other than root has no effective capability; the bounding set only limits what a file could give it. None is inheritable or ambient. */
export function buildCapabilities(bounding: readonly string[], uid: number): OciCapabilities {
  const held = uid === 0 ? bounding : [];
  return { bounding, permitted: held, effective: held };
}
