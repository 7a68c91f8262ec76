/** Gives a task the code that its build step prepared, from the cache or by running the build step. Loaded only for tasks with a build step. */
import { existsSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import type { BuildKey } from '../../core/ids.ts';
import { builtFile } from '../../core/layout.ts';
import type { LayerSource } from '../../core/mount.ts';
import { digestCode } from '../../packages/pack-code.ts';
import { lockBuild } from '../../store/built/hold-built.ts';
import { makeBuiltDir } from '../../store/built/store-built.ts';
import { waitForLock } from '../../store/with-lock.ts';
import type { Execution } from '../account-task.ts';
import type { SetUpTurn } from '../admission/set-up-turns.ts';
import type { Removal } from '../ending/remove-task.ts';
import { type TaskListener, warn } from '../events.ts';
import { type Installation, readPolicy } from '../installation.ts';
import { readTaskImages } from '../records/task-images.ts';
import type { BuildReport, Verdict } from '../result.ts';
import { toSetupError } from '../setup-error.ts';
import { toBuildKey } from './build-key.ts';
import { type FindBuiltContext, findFailure, useBuilt } from './find-built.ts';
import type { EndedBuild, RunBuild } from './run-build-step.ts';

export interface TakeBuiltContext extends FindBuiltContext {
  readonly emit: TaskListener;
  /** The task's set-up turn, which ends before a build step runs. */
  readonly setUp: SetUpTurn;
  readonly runBuild: RunBuild;
  /** Digest of the code that the build step sees, if already known. */
  readonly codeDigest?: string | undefined;
}

/** The outcome of a task's build step. */
export interface BuildStepOutcome {
  /** The layers of `/task`, lowest first; undefined if the task's command cannot run. */
  readonly code?: readonly LayerSource[];
  /** The end of a task whose command did not run. */
  readonly execution?: Execution;
  readonly report?: BuildReport;
  /** The removal of the build step's task, if this task ran the build step. */
  readonly removal?: Removal | undefined;
}

/** How often to look for a request to cancel: the task has no processes yet that another process could kill. */
const CANCEL_LOOK_MS = 100;
/** Most time for storing the outcome of a build step, in addition to the build's own time. */
const STORE_MS = 120_000;

/** Gets the built code from the cache, or runs the build step. Never rejects. The task's holdings keep the cached build while the task uses it. */
export async function takeBuiltCode(context: TakeBuiltContext): Promise<BuildStepOutcome> {
  const { installation, plan, stopper, emit } = context;
  const { id, cancelFile } = plan.container.places;
  const lookForCancel = () => {
    if (existsSync(cancelFile)) stopper.kill('cancelled');
  };
  const look = setInterval(lookForCancel, CANCEL_LOOK_MS);
  const toEnd = (error: StackshimError): Execution => {
    lookForCancel();
    return { ...NOT_RUN, error, cause: stopper.end() };
  };
  let removal: Removal | undefined;
  try {
    const { key, cached, layers, failure, logTail } = await findOrBuild(context, (done) => {
      removal = done;
    });
    const { verdict, exitCode, signal } = failure ?? SUCCEEDED;
    const log = builtFile(installation.layout, key, 'log');
    const ended = { verdict: verdict as Verdict, exitCode, signal, log };
    const report: BuildReport = { key, cached, ...ended, logTail };
    if (layers === undefined) {
      const message = `run the build step: ${failure?.reason ?? verdict}; its log is ${log}`;
      const details = { key, ...ended };
      const error = new StackshimError('ERR_STACKSHIM_TASK_BUILD_FAILED', message, { details });
      return { report, execution: toEnd(error), removal };
    }
    emit({ type: 'built', id, key, cached });
    return { code: layers, report, removal };
  } catch (thrown) {
    return { execution: toEnd(toSetupError(thrown, plan.container.places)), removal };
  } finally {
    clearInterval(look);
  }
}

const NOT_RUN = { exit: null, usage: null, wallMs: null, diskReport: null };
const SUCCEEDED = { verdict: 'succeeded', exitCode: 0, signal: null };

interface FoundBuild extends EndedBuild {
  readonly key: BuildKey;
  /** Whether another task ran the build step. */
  readonly cached: boolean;
  /** Undefined if the build step failed. */
  readonly layers: readonly LayerSource[] | undefined;
}

const MADE: EndedBuild = { failure: null, logTail: '' };

async function findOrBuild(
  context: TakeBuiltContext,
  onRemoved: (removal: Removal) => void,
): Promise<FoundBuild> {
  const { installation, plan, stopper, setUp } = context;
  const { system, layout } = installation;
  const { signal } = stopper;
  const { code, build = [], buildFiles: only, limits } = plan.command.spec;
  const workers = { system, layout };
  const codeDigest =
    context.codeDigest ?? (await digestCode(code, { workers, followLinks: false, only, signal }));
  const key = toBuildKey(plan, codeDigest);
  const ready = await useBuilt(context, key);
  if (ready !== undefined) return { key, cached: true, layers: ready, ...MADE };
  setUp.end();
  await makeBuiltDir(layout);
  const waitsSince = Date.now();
  const busy = `wait for the build step ${key}: another task goes on running it`;
  const lock = await waitForLock(layout, () => lockBuild(installation, key), {
    waitMs: limits.buildTimeoutMs + STORE_MS,
    toBusy: () => new StackshimError('ERR_STACKSHIM_TASK_BUILD_BUSY', busy, { details: { key } }),
    signal,
  });
  let hasRun = false;
  try {
    const built = await useBuilt(context, key);
    if (built !== undefined) return { key, cached: true, layers: built, ...MADE };
    const failed = findFailure(context, key, waitsSince);
    if (failed !== undefined) return { key, cached: true, layers: undefined, ...failed };
    const { runBuildStep } = await import('./run-build-step.ts');
    hasRun = true;
    const running = { key, codeDigest, command: build, signal, onRemoved };
    const ended = await runBuildStep({ ...context, ...running });
    if (ended.failure !== null) return { key, cached: false, layers: undefined, ...ended };
    const made = await useBuilt(context, key);
    if (made !== undefined) return { key, cached: false, layers: made, ...MADE };
    throw new StackshimError('ERR_STACKSHIM_BUILT_CORRUPT', `use the build ${key}: it is gone`);
  } finally {
    lock.release();
    if (hasRun) await boundCache(installation);
  }
}

/** Trims the cache to the policy's bounds after a build step. Errors are warnings: the outcome of the task does not depend on this. */
async function boundCache(installation: Installation): Promise<void> {
  try {
    const { collectBuilt } = await import('../../store/built/collect-built.ts');
    const { builds } = await readPolicy(installation.layout);
    const inUse = readTaskImages(installation.layout).builds;
    collectBuilt(installation, { bounds: builds, inUse });
  } catch (error) {
    warn(error);
  }
}
