/** What a task runs, and where. */
import { posix } from 'node:path';
import { StackshimError } from '../core/errors.ts';
import type { ImageConfig } from '../stacks/image.ts';
import { TASK_DIR } from './task-paths.ts';

/**
 * The image's entrypoint followed by the task's command, else by the image's own, as docker does.
 * Throws ERR_STACKSHIM_SPEC_INVALID when that leaves nothing to run.
 */
export function resolveCommand(
  image: Pick<ImageConfig, 'entrypoint' | 'cmd'>,
  command: readonly string[],
): readonly string[] {
  const resolved = [...image.entrypoint, ...(command.length > 0 ? command : image.cmd)];
  if (resolved[0] !== undefined && resolved[0] !== '') return resolved;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    'command: none was given, and the image has none',
    { details: { field: 'command' } },
  );
}

export interface WorkdirInput {
  /** The task's own, absolute. */
  readonly workdir?: string | undefined;
  readonly hasCode: boolean;
  readonly image: Pick<ImageConfig, 'workingDir'>;
}

/** The task's own working directory, else that of its code, else the image's, else `/`. */
export function resolveWorkdir({ workdir, hasCode, image }: WorkdirInput): string {
  return workdir ?? (hasCode ? TASK_DIR : posix.resolve('/', image.workingDir));
}
