/** Defines `logs`, `wait`, `inspect` and `rm`. Their code is loaded when they are called. */
import type { Command } from 'commander';
import { whenCalled } from './shared-options.ts';

const IDS = 'ids of tasks, also of ended ones';

export function defineReportCommands(program: Command): void {
  program
    .command('logs')
    .description('print the output of a task that was started with -d or --log')
    .argument('<id>', 'id of a task, also of an ended one')
    .option('-f, --follow', 'go on until the task has ended')
    .option('-n, --tail <lines>', 'print only the last N lines', 'all')
    .option('--since <time>', 'print only newer output: 10m, 2026-01-31T12:00:00Z')
    .option('-t, --timestamps', 'print the time of each line')
    .action(whenCalled(async () => (await import('../commands/logs.ts')).logs));
  program
    .command('wait')
    .description('wait until tasks have ended, and print their exit statuses')
    .argument('<id...>', IDS)
    .action(whenCalled(async () => (await import('../commands/wait.ts')).wait));
  program
    .command('inspect')
    .description('print everything that is known about tasks, as JSON')
    .argument('<id...>', IDS)
    .action(whenCalled(async () => (await import('../commands/inspect.ts')).inspect));
  program
    .command('rm')
    .description('remove what ended tasks have left')
    .argument('<id...>', IDS)
    .option('-f, --force', 'end tasks that still run')
    .action(whenCalled(async () => (await import('../commands/rm.ts')).rm));
}
