/** Runs the smoke commands of builds, updates and imports as real tasks of the same installation. */
import type { SmokeOptions, SmokeRunner } from '../exchange/smoke.ts';
import type { OwnTaskOptions } from '../task/caller-options.ts';
import type { Installation } from '../task/installation.ts';
import { runTaskAndLeave } from '../task/run-task.ts';

export const smokeTasks =
  (installation: Installation, own: OwnTaskOptions): SmokeRunner =>
  async ({ stack, revision }, command, { timeoutMs, signal }: SmokeOptions) => {
    const input = {
      stack: `${stack}@rev:${revision}`,
      // A smoke command is complete: an entrypoint of the image would take it as arguments.
      entrypoint: [],
      command,
      timeout: timeoutMs,
    };
    const { result } = await runTaskAndLeave(installation, input, { ...own, signal });
    return result;
  };
