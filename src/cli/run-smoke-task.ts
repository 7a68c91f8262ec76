/** Smoke commands of the command line's builds, updates and imports: real tasks of this installation. */
import type { SmokeOptions, SmokeRunner } from '../images/smoke.ts';
import type { TaskInput } from '../spec/task-input.ts';
import type { TaskResult } from '../task/result.ts';
import { runTask, runTaskAndLeave } from '../task/run-task.ts';

/** Of images that come from elsewhere. */
export const runSmokeTask: SmokeRunner = (revision, command, options) =>
  runTask(toInput(revision, command, options), toOptions(options));

/**
 * Of images built here: the operator who builds a stack has written which bundle template it needs, and may try it. Whether tasks may
 * have it is still the policy's to say.
 */
export const runBuiltSmokeTask: SmokeRunner = async (
  revision,
  command,
  options,
): Promise<TaskResult> => {
  const own = { ...toOptions(options), trustsImageBundle: true };
  const { result } = await runTaskAndLeave(toInput(revision, command, options), own);
  return result;
};

function toInput(
  { stack, revision }: Parameters<SmokeRunner>[0],
  command: readonly string[],
  { timeoutMs }: SmokeOptions,
): TaskInput {
  // A smoke command is whole: an entrypoint of the image would take it for arguments.
  return { stack: `${stack}@rev:${revision}`, entrypoint: [], command, timeout: timeoutMs };
}

const toOptions = ({ signal }: SmokeOptions) => (signal === undefined ? {} : { signal });
