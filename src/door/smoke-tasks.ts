/** Smoke commands of builds, updates and imports: real tasks of the same installation. */
import type { SmokeOptions, SmokeRunner } from '../images/smoke.ts';
import type { Installation } from '../task/installation.ts';
import { type OwnTaskOptions, runTaskAndLeave } from '../task/run-task.ts';

/** Of images that come from elsewhere. */
export const smokeTasks = (installation: Installation): SmokeRunner => runnerOf(installation, {});

/**
 * Of images built here: the operator who builds a stack has written which bundle template it needs, and may try it. Whether tasks may
 * have it is still the policy's to say.
 */
export const builtSmokeTasks = (installation: Installation): SmokeRunner =>
  runnerOf(installation, { trustsImageBundle: true });

const runnerOf =
  (installation: Installation, own: OwnTaskOptions): SmokeRunner =>
  async ({ stack, revision }, command, { timeoutMs, signal }: SmokeOptions) => {
    const input = {
      stack: `${stack}@rev:${revision}`,
      // A smoke command is whole: an entrypoint of the image would take it for arguments.
      entrypoint: [],
      command,
      timeout: timeoutMs,
    };
    const options = { ...own, signal };
    const { result } = await runTaskAndLeave(installation, input, options);
    return result;
  };
