/** Moves one stack back to an earlier revision: a flip to a stored revision. */
import { StackshimError } from '../../core/errors.ts';
import type { StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { System } from '../../sys/system.ts';
import { flipStacks } from './flip-stacks.ts';
import {
  type Generation,
  readCurrentGeneration,
  readGeneration,
  readGenerationNumbers,
  revisionIn,
} from './generations.ts';
import { resolveStack } from './resolve-stack.ts';
import { type Revision, readRevision, requireRevision } from './revisions.ts';

interface RollbackOptions {
  readonly stack: StackName;
  /** The target revision, older or newer. Default: the older revision that was current last. */
  readonly to?: number | undefined;
  readonly now: Date;
}

export interface StackMove {
  readonly stack: StackName;
  /** Null if the stack had no revision. */
  readonly from: number | null;
  readonly to: number;
}

/**
 * Makes an earlier revision current again. A second call goes back further; running tasks keep their revision. Throws ERR_STACKSHIM_STACK_NOT_FOUND
 * if the stack or revision does not exist, `to` is a build that never became current, or no earlier revision is stored; ERR_STACKSHIM_STACK_BUSY.
 */
export async function rollbackStack(
  layout: Layout,
  system: System,
  options: RollbackOptions,
): Promise<StackMove> {
  const { stack, now } = options;
  let move: StackMove | undefined;
  await flipStacks(layout, system, {
    now,
    reason: `rollback ${stack}`,
    changes(current) {
      move = planRollback(layout, current, options);
      return new Map([[stack, move.to]]);
    },
  });
  if (move !== undefined) return move;
  const message = `roll back stack ${stack}: no revision was chosen`;
  throw new StackshimError('ERR_STACKSHIM_INTERNAL', message);
}

function planRollback(
  layout: Layout,
  current: Generation | undefined,
  { stack, to }: RollbackOptions,
): StackMove {
  const from = revisionIn(current, stack);
  if (current === undefined || from === undefined) {
    // Throws the error that suggests similar names.
    resolveStack(layout, { name: stack });
    throw toNothing(stack, 'no such stack');
  }
  if (to === undefined) return { stack, from, to: findEarlierIn(layout, current, stack, from) };
  requireProven(layout, requireRevision(layout, stack, to));
  return { stack, from, to };
}

/** Finds the stored revision older than `from` that was current last. Blocks. Throws ERR_STACKSHIM_STACK_NOT_FOUND if there is none. */
export function findEarlierRevision(layout: Layout, stack: StackName, from: number): number {
  const current = readCurrentGeneration(layout);
  if (current !== undefined) return findEarlierIn(layout, current, stack, from);
  throw toNothing(stack, 'no such stack');
}

function findEarlierIn(
  layout: Layout,
  current: Generation,
  stack: StackName,
  from: number,
): number {
  for (const number of readGenerationNumbers(layout).reverse()) {
    if (number >= current.number) continue;
    const revision = revisionIn(readGeneration(layout, number), stack);
    if (revision === undefined || revision >= from) continue;
    if (readRevision(layout, stack, revision) !== undefined) return revision;
  }
  throw toNothing(stack, `no revision from before ${from} is stored`);
}

/** Refuses a build that no generation ever named: interrupted before its smoke command passed. Throws ERR_STACKSHIM_STACK_NOT_FOUND. */
export function requireProven(layout: Layout, revision: Revision): void {
  if (revision.source.kind !== 'build') return;
  const { stack, revision: number } = revision;
  const isNamed = (generation: number) =>
    revisionIn(readGeneration(layout, generation), stack) === number;
  if (readGenerationNumbers(layout).reverse().some(isNamed)) return;
  throw toNothing(stack, `${number} never became current, because its build did not finish`);
}

const toNothing = (stack: StackName, reason: string): StackshimError =>
  new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', `find revision of ${stack}: ${reason}`, {
    hint: `run stackshim stack history ${stack} to list the revisions`,
    details: { stack },
  });
