/** Defines `logs`, `wait`, `inspect` and `rm`. Their code is loaded when they are called. */
import type { Command } from 'commander';
import type { LogsCommandOptions } from '../commands/logs.ts';
import type { RmCommandOptions } from '../commands/rm.ts';

const IDS = 'ids of tasks, also of ended ones';

export function defineReportCommands(program: Command): void {
  program
    .command('logs')
    .description('print the output of a task that was started with -d or --log')
    .argument('<id>', 'id of a task, also of an ended one')
    .option('-f, --follow', 'go on until the task has ended')
    .option('-n, --tail <lines>', 'print only so many of the last lines', 'all')
    .option('--since <time>', 'print only newer output: 10m, 2026-01-31T12:00:00Z')
    .option('-t, --timestamps', 'print the time of each line')
    .action(async (id: string, options: LogsCommandOptions) => {
      const { logs } = await import('../commands/logs.ts');
      await logs(id, options);
    });
  program
    .command('wait')
    .description('wait until tasks have ended, and print their exit statuses')
    .argument('<id...>', IDS)
    .action(async (ids: readonly string[]) => {
      const { wait } = await import('../commands/wait.ts');
      process.exitCode = await wait(ids);
    });
  program
    .command('inspect')
    .description('print everything that is known about tasks, as JSON')
    .argument('<id...>', IDS)
    .action(async (ids: readonly string[]) => {
      const { inspect } = await import('../commands/inspect.ts');
      process.exitCode = await inspect(ids);
    });
  program
    .command('rm')
    .description('remove what ended tasks have left')
    .argument('<id...>', IDS)
    .option('-f, --force', 'end tasks that still run')
    .action(async (ids: readonly string[], options: RmCommandOptions) => {
      const { rm } = await import('../commands/rm.ts');
      process.exitCode = await rm(ids, options);
    });
}
