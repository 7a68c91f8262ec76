/** The command that a task runs, and its working directory. */
import { posix } from 'node:path';
import { StackshimError } from '../core/errors.ts';
import type { TaskSpec } from '../spec/task-spec.ts';
import type { ImageConfig } from '../store/images/image.ts';
import { TASK_DIR } from './task-paths.ts';

/**
 * The entrypoint followed by the command; each comes from the task, else from the image. The image's command belongs to the image's
 * entrypoint: a task with its own entrypoint gets only its own command, as in docker.
 * Throws ERR_STACKSHIM_SPEC_INVALID when the result is empty.
 */
export function resolveCommand(
  image: Pick<ImageConfig, 'entrypoint' | 'cmd'>,
  { command, entrypoint }: Pick<TaskSpec, 'command' | 'entrypoint'>,
): readonly string[] {
  const imageCmd = entrypoint === undefined ? image.cmd : [];
  const resolved = [
    ...(entrypoint ?? image.entrypoint),
    ...(command.length > 0 ? command : imageCmd),
  ];
  if (resolved[0] !== undefined && resolved[0] !== '') return resolved;
  const problem =
    entrypoint === undefined
      ? 'none was given, and the image has none'
      : 'none was given, and with an entrypoint of the task the image gives none';
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `command: ${problem}`, {
    hint: 'write the command after the stack',
    details: { field: 'command' },
  });
}

export interface WorkdirInput {
  /** The task's working directory, absolute. */
  readonly workdir?: string | undefined;
  readonly hasCode: boolean;
  readonly image: Pick<ImageConfig, 'workingDir'>;
}

/** The task's own working directory, else the code's, else the image's, else `/`. */
export function resolveWorkdir({ workdir, hasCode, image }: WorkdirInput): string {
  return workdir ?? (hasCode ? TASK_DIR : posix.resolve('/', image.workingDir));
}
