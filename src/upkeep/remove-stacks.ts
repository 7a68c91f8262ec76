/** Removes unused stacks: all leave the current generation at once, then their revisions are removed. */
import { StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { removeAllRevisions } from '../store/stacks/change-revisions.ts';
import { findBase, readSoundStacks } from '../store/stacks/current-stacks.ts';
import { flipStacks } from '../store/stacks/flip-stacks.ts';
import { readCurrentGeneration, revisionIn } from '../store/stacks/generations.ts';
import { resolveStack } from '../store/stacks/resolve-stack.ts';
import { readRevisionNumbers } from '../store/stacks/revisions.ts';
import type { System } from '../sys/system.ts';
import { listTaskIds, readRecord } from '../task/records/read-record.ts';
import { findRunFolders } from '../task/records/run-folders.ts';

export interface RemoveStacksOptions {
  readonly names: readonly StackName[];
  readonly now: Date;
}

export interface RemovedStack {
  readonly stack: StackName;
  /** Numbers of its revisions, ascending. */
  readonly revisions: readonly number[];
}

/**
 * Removes all of the named stacks or none. This cannot be undone. Images and layers stay until collection, and longer if a task's record
 * names them. After a killed call, the next one completes the removal.
 *
 * Throws ERR_STACKSHIM_STACK_NOT_FOUND, ERR_STACKSHIM_STACK_IN_USE (`details.tasks`, or `details.stacks` that are built on it),
 * ERR_STACKSHIM_STACK_BUSY, ERR_STACKSHIM_RECORD_CORRUPT (a task's record does not show which stack it uses).
 */
export async function removeStacks(
  layout: Layout,
  system: System,
  options: RemoveStacksOptions,
): Promise<readonly RemovedStack[]> {
  const names = [...new Set(options.names)];
  const current = readCurrentGeneration(layout);
  const named = names.filter((name) => revisionIn(current, name) !== undefined);
  for (const name of names) {
    // A stack outside the current generation that still has revisions is known, too: an earlier removal was interrupted.
    const isKnown = named.includes(name) || readRevisionNumbers(layout, name).length > 0;
    if (!isKnown) resolveStack(layout, { name });
  }
  requireNoTasks(layout, names);
  requireNoDependents(layout, names);
  if (named.length > 0) {
    await flipStacks(layout, system, {
      changes: new Map(named.map((name) => [name, null])),
      now: options.now,
      reason: `remove ${named.join(' ')}`.slice(0, 1000),
    });
  }
  const removed: RemovedStack[] = [];
  for (const stack of names) {
    removed.push({ stack, revisions: await removeAllRevisions(layout, system, stack) });
  }
  return removed;
}

function requireNoTasks(layout: Layout, names: readonly StackName[]): void {
  const folders = findRunFolders(layout);
  for (const name of names) {
    const found = folders.flatMap((folder) =>
      listTaskIds(folder).filter((id) => readRecord(folder, id)?.stack === name),
    );
    // A run folder that is bind-mounted elsewhere is found in both places.
    const tasks = [...new Set(found)];
    if (tasks.length === 0) continue;
    const message = `remove stack ${name}: used by task ${tasks.slice(0, 5).join(', ')}`;
    throw new StackshimError('ERR_STACKSHIM_STACK_IN_USE', message, {
      hint: 'wait for its tasks to end, or remove them with stackshim kill',
      details: { stack: name, tasks: tasks.slice(0, 100) },
    });
  }
}

function requireNoDependents(layout: Layout, names: readonly StackName[]): void {
  const stacks = readSoundStacks(layout);
  for (const name of names) {
    const dependents = stacks
      .filter((stack) => findBase(stack, stacks) === name)
      .map(({ revision }) => revision.stack)
      .filter((stack) => !names.includes(stack));
    if (dependents.length === 0) continue;
    const message = `remove stack ${name}: ${dependents.join(', ')} ${dependents.length === 1 ? 'is' : 'are'} built on it`;
    throw new StackshimError('ERR_STACKSHIM_STACK_IN_USE', message, {
      hint: 'remove those stacks first, or name all of them in one command',
      details: { stack: name, stacks: dependents },
    });
  }
}
