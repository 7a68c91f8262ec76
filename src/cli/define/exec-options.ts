/** The options of `exec`: those of `run` that describe a command. */
import { COMMAND_OPTIONS } from '../../spec/options/command-options.ts';
import type { OptionValues } from './plain-line.ts';

const { interactive, tty, user, workdir, env } = COMMAND_OPTIONS;

export const EXEC_OPTIONS = [
  [interactive.flags, 'pass standard input to the command'],
  [tty.flags, 'give the command a terminal'],
  [user.flags, user.help],
  [workdir.flags, workdir.help],
  [env.flags, env.help],
  ['--env-file <file…>', 'read environment variables from a file'],
] as const;

export type ExecLineOptions = OptionValues<(typeof EXEC_OPTIONS)[number][0]>;
