/** `stackshim stack build`: a folder becomes a stack's current revision. Progress goes to stderr, the outcome to stdout. */
import { StackshimError } from '../../core/errors.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { openBuildProgress } from '../build-progress-view.ts';
import { listenForStops } from '../caller-signals.ts';
import { print, printJson } from '../print.ts';
import { reportToolOutput } from '../report-tool-output.ts';

export interface BuildCommandOptions {
  readonly ifChanged?: boolean;
  readonly json?: boolean;
}

/** SIGINT and SIGTERM abort the build, which then throws ERR_STACKSHIM_BUILD_ABORTED and has changed nothing. */
export async function stackBuild(directory: string, options: BuildCommandOptions): Promise<void> {
  const stops = listenForStops();
  const view = openBuildProgress(process.stderr);
  try {
    const result = await openDoor().stacks.build(directory, {
      ifChanged: options.ifChanged === true,
      onProgress: view.onProgress,
      signal: stops.signals.signal,
    });
    view.close();
    if (options.json) return await printJson(result);
    await print(`${result.stack}@rev:${result.revision} ${result.image} ${result.status}\n`);
  } catch (error) {
    view.close();
    if (error instanceof StackshimError) reportToolOutput(error);
    throw error;
  } finally {
    stops.close();
  }
}
