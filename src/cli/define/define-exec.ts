/** Defines `stackshim exec`. */
import type { Command } from 'commander';
import { EXEC_OPTIONS } from './exec-options.ts';
import { addOptions, whenCalled } from './shared-options.ts';

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
    .action(whenCalled(async () => (await import('../commands/exec.ts')).exec));
  addOptions(command, EXEC_OPTIONS);
}
