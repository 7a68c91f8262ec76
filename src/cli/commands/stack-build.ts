/** `stackshim stack build`: builds a stack from a folder, with progress on standard error. */
import { print, printJson } from '../print.ts';
import { withProgress } from '../with-progress.ts';

export interface BuildCommandOptions {
  readonly ifChanged?: boolean;
  readonly json?: boolean;
}

/** SIGINT and SIGTERM abort the build, which then throws ERR_STACKSHIM_BUILD_ABORTED and has changed nothing. */
export async function stackBuild(directory: string, options: BuildCommandOptions): Promise<void> {
  const result = await withProgress(
    (exchange, stacks) =>
      stacks.build(directory, { ...exchange, ifChanged: options.ifChanged === true }),
    options,
  );
  if (options.json) return await printJson(result);
  await print(`${result.stack}@rev:${result.revision} ${result.image} ${result.status}\n`);
}
