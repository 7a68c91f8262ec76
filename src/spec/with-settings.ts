/** Joins a task with the settings of its code package: what the task says wins. Pure. Loaded only for tasks of code packages. */
import { LIMITS } from './limits.ts';
import type { PackageSettings } from './package-settings.ts';
import type { TaskInput } from './task-input.ts';

/** Leaves `config` to the caller, because a task names its own by a file. Variables are joined one by one. */
export function withSettings(given: TaskInput, settings: PackageSettings): TaskInput {
  const { stack, command, args, env } = settings;
  // The package's command belongs to the image's entrypoint, which the task has replaced.
  const isCommandOwn = (given.command?.length ?? 0) > 0 || given.entrypoint !== undefined;
  const limits = LIMITS.filter(({ field }) => given[field] === undefined).map(
    ({ field }) => [field, settings.limits?.[field]] as const,
  );
  return {
    ...given,
    stack: given.stack ?? stack,
    command: isCommandOwn ? given.command : (command ?? given.command),
    args: given.args ?? args,
    env: env === undefined ? given.env : { ...env, ...given.env },
    ...Object.fromEntries(limits),
  };
}
