/** Joins a task with the settings of its code package; the task's override the package's. Pure. Loaded only for tasks of code packages. */
import { LIMITS } from './limits.ts';
import type { PackageSettings } from './package-settings.ts';
import type { TaskInput } from './task-input.ts';

/** Joins variables one by one. Leaves `config` to the caller, because a task names its own config by a file. */
export function withSettings(given: TaskInput, settings: PackageSettings): TaskInput {
  const { stack, command, args, env } = settings;
  // The package's command belongs to the image's entrypoint: leave it out if the task has its own.
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
