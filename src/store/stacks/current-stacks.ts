/** Reads the current revisions of all stacks with their images, and finds which stack is built on which. */
import type { StackshimError } from '../../core/errors.ts';
import type { LayerId, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { type Image, readImage } from '../images/image.ts';
import { unlessDamaged } from '../stored-json.ts';
import { readCurrentGeneration } from './generations.ts';
import { type Revision, requireRevision } from './revisions.ts';

/** A stack's current revision. */
export interface CurrentStack {
  readonly revision: Revision;
  readonly image: Image;
}

/** Called for each stack that cannot be read. */
export type DamageListener = (error: StackshimError, stack: StackName) => void;

/**
 * Returns every readable stack, by name; a damaged stack does not hide the others. Blocks. Throws ERR_STACKSHIM_STACK_CORRUPT if the current
 * generation is damaged, and the errors of `onDamage`.
 */
export function readSoundStacks(
  layout: Layout,
  onDamage: DamageListener = () => undefined,
): CurrentStack[] {
  const { stacks = {} } = readCurrentGeneration(layout) ?? {};
  return (Object.entries(stacks) as [StackName, number][]).flatMap(([name, number]) => {
    const read = () => {
      const revision = requireRevision(layout, name, number);
      return { revision, image: readImage(layout, revision.image) };
    };
    return unlessDamaged(read, (error) => onDamage(error, name)) ?? [];
  });
}

/** A listener that throws at the first damage. */
export const throwDamage = (error: StackshimError): never => {
  throw error;
};

/**
 * Finds the base of a stack: the stack that its source names; otherwise the stack whose layers are the longest beginning of its own layers,
 * preferring stacks built here. Undefined if the stack has no base here. Pure.
 */
export function findBase(
  stack: CurrentStack,
  others: readonly CurrentStack[],
): StackName | undefined {
  const { source, stack: name } = stack.revision;
  if (source.kind === 'build' && source.base !== undefined) return source.base.stack;
  let best: CurrentStack | undefined;
  for (const other of others) {
    const [own, below] = [stack.image.layers, other.image.layers];
    const isBelow = own.length > below.length && beginsWith(own, below);
    if (other.revision.stack === name || !isBelow) continue;
    if (best === undefined || isNearer(other, best)) best = other;
  }
  return best?.revision.stack;
}

function isNearer(one: CurrentStack, other: CurrentStack): boolean {
  const more = one.image.layers.length - other.image.layers.length;
  const isBuilt = ({ revision }: CurrentStack) => revision.source.kind === 'build';
  return more > 0 || (more === 0 && isBuilt(one) && !isBuilt(other));
}

const beginsWith = (layers: readonly LayerId[], first: readonly LayerId[]) =>
  first.every((id, index) => layers[index] === id);

/** Returns the base if the stack was built on an earlier revision of it; null if it is up to date or has no base here. Pure. */
export function findBehind(stack: CurrentStack, others: readonly CurrentStack[]): StackName | null {
  const name = findBase(stack, others);
  const base = others.find((other) => other.revision.stack === name);
  // A stack that adds nothing has exactly the layers of its base.
  if (base === undefined || beginsWith(stack.image.layers, base.image.layers)) return null;
  return base.revision.stack;
}
