/** Decides which stacks an update builds, in which order, and from which folder. Pure except for reading the store. */
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { invalidInput } from '../spec/field-errors.ts';
import { type CurrentStack, findBase, readSoundStacks } from '../store/stacks/current-stacks.ts';
import { readCurrentGeneration } from '../store/stacks/generations.ts';
import { resolveStack } from '../store/stacks/resolve-stack.ts';
import type { Planned } from './run-in-order.ts';

export interface UpdateSelection {
  /** Undefined: every stack. */
  readonly names?: readonly StackName[] | undefined;
  /** Also update the stacks that are built on the named ones. */
  readonly dependents?: boolean;
  /** The folder with the Dockerfile; only with one name. Default: the folder that the current revision was built from. */
  readonly from?: string | undefined;
}

export interface PlannedUpdate extends Planned {
  /** Null: the stack was not built here. */
  readonly directory: string | null;
}

/** Plans the update, bases first. Throws ERR_STACKSHIM_STACK_NOT_FOUND, ERR_STACKSHIM_SPEC_INVALID. */
export function planUpdate(layout: Layout, selection: UpdateSelection): PlannedUpdate[] {
  const { names, from } = selection;
  for (const name of names ?? []) resolveStack(layout, { name });
  if (from !== undefined) return [{ stack: checkFrom(names), directory: from, after: [] }];
  const stacks = readSoundStacks(layout);
  const known = new Map(stacks.map((stack) => [stack.revision.stack, stack]));
  const all = Object.keys(readCurrentGeneration(layout)?.stacks ?? {}) as StackName[];
  const wanted = new Set(names ?? all);
  if (names !== undefined && selection.dependents) addDependents(wanted, stacks);
  return [...wanted]
    .map((stack) => {
      const source = known.get(stack)?.revision.source;
      const directory = source?.kind === 'build' ? source.directory : null;
      return { stack, directory, below: toStacksBelow(stack, known) };
    })
    .sort((a, b) => a.below.length - b.below.length || (a.stack < b.stack ? -1 : 1))
    .map(({ below, ...plan }) => ({ ...plan, after: below.filter((name) => wanted.has(name)) }));
}

function checkFrom(names: readonly StackName[] | undefined): StackName {
  const [name, ...others] = names ?? [];
  if (name !== undefined && others.length === 0) return name;
  const text = 'update stacks: --from works for one stack only';
  const hint = 'name one stack: stackshim stack update ruby-3.3 --from overlay/stacks/ruby-3.3';
  throw invalidInput('from', text, hint);
}

function addDependents(chosen: Set<StackName>, stacks: readonly CurrentStack[]): void {
  for (let before = -1; before !== chosen.size; ) {
    before = chosen.size;
    for (const stack of stacks) {
      const base = findBase(stack, stacks);
      if (base !== undefined && chosen.has(base)) chosen.add(stack.revision.stack);
    }
  }
}

/** Returns the stacks below a stack, nearest first. Records that name each other in a cycle have no order: the first by name wins. */
function toStacksBelow(
  name: StackName,
  known: ReadonlyMap<StackName, CurrentStack>,
): readonly StackName[] {
  const below: StackName[] = [];
  const all = [...known.values()];
  for (let at: StackName | undefined = name; at !== undefined; ) {
    const stack = known.get(at);
    at = stack === undefined ? undefined : findBase(stack, all);
    if (at === name) return [];
    if (at === undefined || below.includes(at)) break;
    below.push(at);
  }
  return below;
}
