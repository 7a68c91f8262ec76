/** Runs the build step of code that no task runs yet, when a code package is added. */
import { StackshimError } from '../../core/errors.ts';
import type { BuildKey } from '../../core/ids.ts';
import { digestCode } from '../../packages/pack-code.ts';
import type { TaskInput } from '../../spec/task-input.ts';
import { startOrphanReaper } from '../../sys/orphan-reaper.ts';
import { takeSetUpTurn } from '../admission/set-up-turns.ts';
import { TaskStopper } from '../ending/stop-task.ts';
import { safeListener, type TaskListener } from '../events.ts';
import { Holdings } from '../holdings.ts';
import type { Installation } from '../installation.ts';
import { planTask, type TaskPlan } from '../plan-task.ts';
import { runPlanned } from '../run-task.ts';
import { toBuildKey } from './build-key.ts';
import { takeBuiltCode } from './take-built-code.ts';

export interface PlannedCodeBuild {
  readonly plan: TaskPlan;
  readonly codeDigest: string;
  readonly key: BuildKey;
}

export interface CodeBuildRequest {
  /** Stack, code, build step, tenant, and the limits of the build. */
  readonly input: TaskInput;
  /** The only files of the code that the build step sees; undefined: all. */
  readonly buildFiles: readonly string[] | undefined;
  /** Digest of the code that the build step sees, if known. */
  readonly codeDigest: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Plans the build that the code needs. Rejects like `planTask`, and with the errors of reading the code. */
export async function planCodeBuild(
  installation: Installation,
  { input, buildFiles, codeDigest, signal }: CodeBuildRequest,
): Promise<PlannedCodeBuild> {
  const { system, layout } = installation;
  // A placeholder: the command never runs.
  const planned = await planTask(installation, {
    ...input,
    command: ['/bin/true'],
    entrypoint: '',
  });
  const spec = { ...planned.command.spec, ...(buildFiles === undefined ? {} : { buildFiles }) };
  const plan = { ...planned, command: { ...planned.command, spec } };
  const reading = { workers: { system, layout }, followLinks: false, only: buildFiles, signal };
  const digest = codeDigest ?? (await digestCode(spec.code, reading));
  return { plan, codeDigest: digest, key: toBuildKey(plan, digest) };
}

export interface BuiltCode {
  /** False if this call ran the build step. */
  readonly cached: boolean;
  /** Mount point of the layer that the build step left. */
  readonly folder: string;
}

export interface RunCodeBuildOptions<T> {
  readonly signal: AbortSignal | undefined;
  readonly onEvent: TaskListener;
  readonly use: (built: BuiltCode) => Promise<T>;
}

/**
 * Takes the build from the cache or runs it, and hands it to `use`, which may read the folder until it settles. Rejects with
 * ERR_STACKSHIM_TASK_BUILD_FAILED (`details.output`: the last lines of the log), ERR_STACKSHIM_TASK_BUILD_BUSY, the platform's errors, and
 * those of `use`.
 */
export async function withCodeBuild<T>(
  installation: Installation,
  { plan, codeDigest }: PlannedCodeBuild,
  { signal, onEvent, use }: RunCodeBuildOptions<T>,
): Promise<T> {
  installation.system.becomeSubreaper();
  startOrphanReaper(installation.system);
  const holdings = new Holdings();
  const stopper = new TaskStopper({
    installation,
    graceMs: 0,
    stopSignal: plan.command.stopSignal,
    claimOverdue: () => true,
    onStop: () => undefined,
  });
  const stop = () => stopper.kill('cancelled');
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop, { once: true });
  const setUp = await takeSetUpTurn(signal === undefined ? [] : [signal]);
  try {
    const { code, execution, report } = await takeBuiltCode({
      ...{ installation, plan, stopper, holdings, setUp, codeDigest },
      emit: safeListener(onEvent),
      runBuild: (build, options) => runPlanned(installation, build, options),
    });
    const top = code?.at(-1);
    if (report === undefined || top?.kind !== 'mounted') {
      const { error = null } = execution ?? {};
      if (error === null) {
        const message = 'build code: neither a build nor an error';
        throw new StackshimError('ERR_STACKSHIM_INTERNAL', message);
      }
      const { message, hint, details, cause } = error;
      const output = report?.logTail ? report.logTail.split('\n') : [];
      throw new StackshimError(error.code, message, {
        hint,
        details: { ...details, output },
        cause,
      });
    }
    return await use({ cached: report.cached, folder: top.path });
  } finally {
    setUp.end();
    signal?.removeEventListener('abort', stop);
    await holdings.release();
  }
}
