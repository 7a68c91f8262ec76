/** The options of `exec`: those of `run` that describe a command. */
import { COMMAND_OPTIONS } from '../../spec/options/command-options.ts';
import type { OptionTable } from './plain-line.ts';

const { interactive, tty, user, workdir, env } = COMMAND_OPTIONS;

/** The values on a command line by option name; options that were not given are absent. */
export interface ExecLineOptions {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly user?: string;
  readonly workdir?: string;
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
}

export const EXEC_OPTIONS: OptionTable = [
  [interactive.flags, 'pass standard input to the command'],
  [tty.flags, 'give the command a terminal'],
  [user.flags, user.help],
  [workdir.flags, workdir.help],
  [env.flags, env.help],
  ['--env-file <file…>', 'read environment variables from a file'],
];
