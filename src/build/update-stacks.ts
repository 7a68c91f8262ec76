/** Builds stacks again from their folders, a few at a time, bases first. A failure does not stop the others. */
import { type ErrorJson, StackshimError, toStackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { toAborted } from '../exchange/abortable.ts';
import { removeOldRevisions } from '../store/stacks/change-revisions.ts';
import { findBehind, readSoundStacks } from '../store/stacks/current-stacks.ts';
import { readCurrentGeneration, revisionIn } from '../store/stacks/generations.ts';
import { buildStack } from './build-stack.ts';
import type { BuildStacksOptions } from './build-stacks.ts';
import { type PlannedUpdate, planUpdate, type UpdateSelection } from './plan-update.ts';
import { runInOrder } from './run-in-order.ts';
import { openStackFolder } from './stack-folder.ts';
import { requireJobs } from './take-builder-home.ts';

export interface UpdateStacksOptions
  extends Omit<BuildStacksOptions, 'ifChanged' | 'ifDifferent' | 'onPlan' | 'onBuilt'>,
    UpdateSelection {
  /** How many of the stack's newest revisions stay after a successful update. Default: all. */
  readonly keep?: number | undefined;
}

/**
 * `updated`: the stack has a new revision. `unchanged`: the build gave the current image. `skipped`: the stack was not built here, so there
 * is nothing to build from. `failed`: `error` says why, and the current revision stays.
 */
export type UpdateStatus = 'updated' | 'unchanged' | 'skipped' | 'failed';

export interface StackUpdate {
  readonly stack: StackName;
  readonly status: UpdateStatus;
  /** The current revision before and after; null if it could not be read. */
  readonly before: number | null;
  readonly revision: number | null;
  readonly error: ErrorJson | null;
  /** Numbers of the old revisions that were removed. */
  readonly removedRevisions: readonly number[];
}

export interface UpdateReport {
  /** Bases first. */
  readonly updates: readonly StackUpdate[];
  /** All stacks that are not built on the current revision of their base. */
  readonly behind: readonly { readonly stack: StackName; readonly base: StackName }[];
}

/**
 * Updates the selected stacks, bases first, and reports the outcome of each. Only a revision whose smoke command succeeded becomes current.
 * Rejects before the first build: ERR_STACKSHIM_STACK_NOT_FOUND, ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_STACK_CORRUPT.
 */
export async function updateStacks(
  layout: Layout,
  options: UpdateStacksOptions,
): Promise<UpdateReport> {
  const planned = planUpdate(layout, options);
  const updates = await runInOrder(planned, requireJobs(options.jobs), async (plan) => {
    options.onStack?.(plan.stack, planned.indexOf(plan) + 1, planned.length);
    return await updateOne(layout, plan, options);
  });
  const stacks = readSoundStacks(layout);
  const behind = stacks.flatMap((stack) => {
    const base = findBehind(stack, stacks);
    return base === null ? [] : [{ stack: stack.revision.stack, base }];
  });
  return { updates, behind };
}

async function updateOne(
  layout: Layout,
  plan: PlannedUpdate,
  options: UpdateStacksOptions,
): Promise<StackUpdate> {
  const { stack } = plan;
  const before = readRevisionNow(layout, stack);
  const update = (
    status: UpdateStatus,
    rest: Partial<Pick<StackUpdate, 'error' | 'removedRevisions'>> = {},
  ): StackUpdate => ({
    ...{ stack, status, before, revision: readRevisionNow(layout, stack) },
    ...{ error: null, removedRevisions: [], ...rest },
  });
  if (plan.directory === null && options.names === undefined) return update('skipped');
  try {
    const status = await rebuild(layout, plan, options);
    const { keep, system } = options;
    const removedRevisions =
      keep === undefined ? [] : await removeOldRevisions(layout, system, { stack, keep });
    return update(status, { removedRevisions });
  } catch (error) {
    const known = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', `update ${stack}`);
    return update('failed', { error: known.toJSON() });
  }
}

async function rebuild(
  layout: Layout,
  { stack, directory }: PlannedUpdate,
  options: UpdateStacksOptions,
): Promise<'updated' | 'unchanged'> {
  if (options.signal?.aborted) throw toAborted(`update ${stack}`);
  if (directory === null) {
    const text = `update ${stack}: the stack was not built on this machine, so its Dockerfile is unknown`;
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, {
      hint: 'name its folder with --from, or import a newer image',
      details: { field: 'name', stack },
    });
  }
  const { name } = openStackFolder(directory);
  if (name !== stack) {
    const text = `update ${stack}: ${directory} is the folder of ${name}`;
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, {
      hint: `update ${name} instead, or name the folder of ${stack}; a stack has the name of its folder`,
      details: { field: 'from', stack },
    });
  }
  const { onProgress, ...rest } = options;
  const { status } = await buildStack(layout, directory, {
    ...rest,
    ifDifferent: true,
    onProgress: (progress) => onProgress?.(stack, progress),
  });
  return status === 'built' ? 'updated' : 'unchanged';
}

function readRevisionNow(layout: Layout, stack: StackName): number | null {
  return revisionIn(readCurrentGeneration(layout), stack) ?? null;
}
