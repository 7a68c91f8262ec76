/** Defines `stackshim exec`. */
import type { Command } from 'commander';
import { EXEC_OPTIONS, type ExecLineOptions } from './exec-options.ts';
import { addOptions } from './shared-options.ts';

const MORE = `
The exit status is the command's own, or: 125 stackshim failed, 126 not executable, 127 not found, 128+N ended by signal N.
Write options before ID; everything after ID is the command.`;

export function defineExec(program: Command): void {
  const command = program
    .command('exec')
    .description('run a further command in a running task')
    .argument('<id>', 'id of a task')
    .argument('<command...>', 'the command')
    .passThroughOptions()
    .addHelpText('after', MORE)
    .action(async (id: string, rest: readonly string[], options: ExecLineOptions) => {
      const { exec } = await import('../commands/exec.ts');
      process.exitCode = await exec(id, rest, options);
    });
  addOptions(command, EXEC_OPTIONS);
}
