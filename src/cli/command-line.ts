/** The whole command line: defines every command and its help, and reports usage errors in one line. */
import { writeSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { errnoCodeOf, type StackshimError, toStackshimError } from '../core/errors.ts';
import { PROGRAM_VERSION } from '../core/format-version.ts';
import { invalidInput } from '../spec/field-errors.ts';
import { defineCodeCommands } from './define/define-code-commands.ts';
import { defineHelpCommands } from './define/define-help-commands.ts';
import { defineRun, type RunAction } from './define/define-run.ts';
import { defineSaveCommands, defineStackCommands } from './define/define-stack-commands.ts';
import { defineStorageCommands } from './define/define-storage-commands.ts';
import { defineTaskCommands } from './define/define-task-commands.ts';
import { toLostOutput } from './run/descriptor-sink.ts';

/**
 * Defines the commands. The options of `worker` and `queue` take a few milliseconds, so both are left out if another command is called.
 *
 * @param called The first word of the command line. Absent: all commands are defined.
 */
export async function defineCommands(executeRun: RunAction, called?: string): Promise<Command> {
  const program = new Command('stackshim')
    .description('run short tasks in language stacks: isolated, limited, in milliseconds')
    .version(PROGRAM_VERSION)
    .enablePositionalOptions()
    .configureOutput({ outputError: () => undefined, writeOut: writeHelp })
    .exitOverride();
  defineRun(program, executeRun);
  defineStackCommands(program);
  defineCodeCommands(program);
  defineSaveCommands(program);
  defineTaskCommands(program);
  defineStorageCommands(program);
  if (!program.commands.some((command) => command.name() === called)) {
    const [{ defineWorker }, { defineQueueCommands }] = await Promise.all([
      import('./define/define-worker.ts'),
      import('./define/define-queue-commands.ts'),
    ]);
    defineWorker(program);
    defineQueueCommands(program);
  }
  defineHelpCommands(program);
  return program;
}

/** Writes help and version. Throws if they cannot be written: commander ends right after. */
function writeHelp(text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
  } catch (error) {
    if (errnoCodeOf(error) !== 'EPIPE') throw toLostOutput('standard output', error);
  }
}

/** Runs the named command. Rejects with a {@link StackshimError} that names it. Resolves to false if help was printed: the command is missing. */
export async function carryOut(program: Command, args: readonly string[]): Promise<boolean> {
  const called = program.commands.find((command) => command.name() === args[0])?.name();
  try {
    await program.parseAsync(nestHelp(program, args), { from: 'user' });
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      throw toStackshimError(error, 'ERR_STACKSHIM_INTERNAL', called ?? 'start');
    }
    if (error.exitCode === 0) return true;
    if (error.code === 'commander.help') return false;
    throw toUsageError(error, called === undefined ? 'stackshim' : `stackshim ${called}`);
  }
}

/** Rewrites `help stack build` as `stack help build`: commander's own `help` reads only one name. */
function nestHelp(program: Command, args: readonly string[]): readonly string[] {
  const [help, name = '', ...rest] = args;
  const group = program.commands.find((command) => command.name() === name);
  const isNested =
    help === 'help' && rest.length > 0 && group !== undefined && group.commands.length > 0;
  return isNested ? [name, ...nestHelp(group, ['help', ...rest])] : args;
}

/** @param command The command whose `--help` tells more: `stackshim run`. */
function toUsageError(error: CommanderError, command: string): StackshimError {
  // commander writes `error: unknown option '--tme'`, then `(Did you mean --name?)` on its own line.
  const [problem = '', near] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = near === undefined ? '' : `${near.replace(/^\(|\)$/g, '')} `;
  const hint = `${suggestion}run ${command} --help to see the usage`;
  return invalidInput('commandLine', `read command line: ${problem}`, hint);
}
