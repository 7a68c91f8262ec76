/** Builds the folders of several stacks, bases first. A failure stops only the stacks that are built on the failed one. */
import { performance } from 'node:perf_hooks';
import { type ErrorJson, toStackshimError } from '../core/errors.ts';
import type { ImageDigest, StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { toAborted } from '../exchange/abortable.ts';
import type { BuildProgress } from '../exchange/progress.ts';
import { type BuildStackOptions, buildStack } from './build-stack.ts';
import { type PlannedBuild, planBuilds } from './plan-builds.ts';
import { runInOrder } from './run-in-order.ts';
import { requireJobs } from './take-builder-home.ts';

export interface BuildStacksOptions extends Omit<BuildStackOptions, 'onProgress'> {
  /** Called with the plan before the first build. */
  readonly onPlan?: (plan: readonly PlannedBuild[]) => void;
  /** Called before each build; `number` counts from 1. */
  readonly onStack?: (stack: StackName, number: number, count: number) => void;
  /** Called after each build, and for each blocked stack. */
  readonly onBuilt?: (build: StackBuild) => void;
  /** Reports the progress of a stack. Reports of other stacks may come in between. */
  readonly onProgress?: (stack: StackName, progress: BuildProgress) => void;
}

/**
 * `built`: the stack has a new revision. `unchanged`: with `ifChanged`, there was nothing to build. `failed`: `error` says why. `blocked`:
 * not built, because a stack that it is built on failed. A failed or blocked stack stays as it was.
 */
export type BuildStatus = 'built' | 'unchanged' | 'failed' | 'blocked';

/** The outcome for one stack. */
export interface StackBuild {
  readonly stack: StackName;
  readonly directory: string;
  readonly status: BuildStatus;
  /** The current revision after the build, and its image; null if the build failed or is blocked. */
  readonly revision: number | null;
  readonly image: ImageDigest | null;
  readonly error: ErrorJson | null;
  /** The failed or blocked stack that this stack is built on. */
  readonly blockedBy: StackName | null;
  readonly wallMs: number;
}

/** The outcomes of several builds. */
export interface BuildsReport {
  /** In the order of the plan. */
  readonly builds: readonly StackBuild[];
}

/** Builds the folders and reports the outcome of each. Rejects before the first build, with the errors of `planBuilds`. */
export async function buildStacks(
  layout: Layout,
  directories: readonly string[],
  options: BuildStacksOptions,
): Promise<BuildsReport> {
  const jobs = requireJobs(options.jobs);
  const plan = planBuilds(layout, directories);
  options.onPlan?.(plan);
  const builds = await runInOrder<PlannedBuild, StackBuild>(plan, jobs, async (planned, done) => {
    // A failed or blocked build has no revision.
    const blockedBy = planned.after.find((stack) => (done.get(stack)?.revision ?? null) === null);
    if (blockedBy === undefined) {
      options.onStack?.(planned.stack, plan.indexOf(planned) + 1, plan.length);
    }
    const build = await buildOne(layout, planned, blockedBy, options);
    options.onBuilt?.(build);
    return build;
  });
  return { builds };
}

async function buildOne(
  layout: Layout,
  { stack, directory }: PlannedBuild,
  blockedBy: StackName | undefined,
  options: BuildStacksOptions,
): Promise<StackBuild> {
  const startedAt = performance.now();
  const outcome = (
    status: BuildStatus,
    rest: Partial<Pick<StackBuild, 'revision' | 'image' | 'error' | 'blockedBy'>>,
  ): StackBuild => ({
    ...{ stack, directory, status, revision: null, image: null, error: null, blockedBy: null },
    ...rest,
    wallMs: Math.round(performance.now() - startedAt),
  });
  if (blockedBy !== undefined) return outcome('blocked', { blockedBy });
  const { onPlan, onStack, onBuilt, onProgress, ...rest } = options;
  try {
    if (options.signal?.aborted) throw toAborted(`build ${stack}`);
    const { status, revision, image } = await buildStack(layout, directory, {
      ...rest,
      onProgress: (progress) => onProgress?.(stack, progress),
    });
    return outcome(status, { revision, image });
  } catch (error) {
    const known = toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', `build ${stack}`);
    return outcome('failed', { error: known.toJSON() });
  }
}
