/** `stackshim stack build`: builds stacks from folders, with progress on standard error. */
import { type JsonOption, toPositive } from '../define/shared-options.ts';
import { printAnswer } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';

export interface BuildCommandOptions extends JsonOption {
  readonly ifChanged?: boolean;
  readonly jobs?: string;
  readonly plan?: boolean;
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
    return await stackBuildAll(directories, jobs, options);
  }
  const ifChanged = options.ifChanged === true;
  const result = await withProgress(
    (exchange, stacks) => stacks.build(directory, { ...exchange, ifChanged, jobs }),
    options,
  );
  const { stack, revision, image, status } = result;
  await printAnswer(result, options, () => `${stack}@rev:${revision} ${image} ${status}\n`);
}
