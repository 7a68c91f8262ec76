/** Runs smoke commands as the real tasks of an installation. */
import type { LayoutOptions } from '../core/layout.ts';
import { runTask } from '../task/run-task.ts';
import type { SmokeRunner } from './smoke.ts';

/** A runner of smoke commands in the installation that `options`, else the environment, names. */
export function smokeRunner(options: LayoutOptions): SmokeRunner {
  return async ({ stack, revision }, command, { timeoutMs, signal }) =>
    await runTask(
      { stack: `${stack}@rev:${revision}`, command, timeout: timeoutMs },
      { ...options, capture: true, ...(signal === undefined ? {} : { signal }) },
    );
}
