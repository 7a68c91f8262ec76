/** Smoke commands of the command line's builds and updates: real tasks of this installation. */
import type { SmokeRunner } from '../images/smoke.ts';
import { runTask } from '../task/run-task.ts';

export const runSmokeTask: SmokeRunner = (revision, command, { timeoutMs, signal }) =>
  runTask(
    {
      stack: `${revision.stack}@rev:${revision.revision}`,
      // A smoke command is whole: an entrypoint of the image would take it for arguments.
      entrypoint: [],
      command,
      timeout: timeoutMs,
    },
    signal === undefined ? {} : { signal },
  );
