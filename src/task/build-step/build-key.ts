/** The key of a build step: a digest of everything that decides its outcome. Pure. */
import { createHash } from 'node:crypto';
import { type BuildKey, isBuildKey } from '../../core/ids.ts';
import type { TaskPlan } from '../plan-task.ts';

/** Raise it when the same inputs lead to another outcome: earlier builds are then no longer used. */
const KEY_VERSION = 1;

/**
 * Equal for tasks whose build steps run the same command on the same code in the same place. The image, the user, the container's rights and
 * the tenant count, so tenants share nothing. Limits do not: they decide only whether a build succeeds. For `codeDigest`, see `digestCode`.
 */
export function toBuildKey({ container, command }: TaskPlan, codeDigest: string): BuildKey {
  const { pinned, seccompProfile } = container;
  // Every field that is not listed here counts, so a new field of a container counts by itself.
  const {
    id,
    stack,
    tenant,
    limits,
    mounts,
    network,
    admission,
    throttles,
    ulimitMaxima,
    ...place
  } = container.spec;
  const { build, buildNetwork, user, ulimits } = command.spec;
  const decides = {
    version: KEY_VERSION,
    ...{ tenant, code: codeDigest, image: pinned.image.digest },
    ...{ build, buildNetwork, user, ulimits, seccompProfile },
    place,
  };
  const digest = createHash('sha256')
    .update(JSON.stringify(inOrder(decides)))
    .digest('hex');
  if (!isBuildKey(digest)) throw new Error('sha256 gave no key');
  return digest;
}

/** Copies a value with the fields of every object sorted by name. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, one]) => [name, inOrder(one)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
