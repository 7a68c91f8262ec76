/** `stackshim stack build`: builds stacks from folders, with progress on standard error. */

import { toPositive } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';

interface BuildCommandOptions {
  readonly ifChanged?: boolean;
  readonly jobs?: string;
  readonly plan?: boolean;
  readonly json?: boolean;
}

/** SIGINT and SIGTERM abort the builds, which then have changed nothing. */
export async function stackBuild(
  directories: readonly string[],
  options: BuildCommandOptions,
): Promise<void> {
  const jobs = toPositive('--jobs', options.jobs);
  const [directory, ...others] = directories;
  if (directory === undefined || others.length > 0 || options.plan) {
    const { stackBuildAll } = await import('./stack-build-all.ts');
    return await stackBuildAll(directories, { ...options, jobs });
  }
  const result = await withProgress(
    (exchange, stacks) =>
      stacks.build(directory, { ...exchange, ifChanged: options.ifChanged === true, jobs }),
    options,
  );
  if (options.json) return await printJson(result);
  await print(`${result.stack}@rev:${result.revision} ${result.image} ${result.status}\n`);
}
