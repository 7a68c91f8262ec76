/** Defines `verify`, `migrate`, `gc` and `df`. Their code is loaded when they are called. */
import type { Command } from 'commander';
import { JSON_FLAG, whenCalled } from './shared-options.ts';

export function defineStorageCommands(program: Command): void {
  program
    .command('verify')
    .description('check everything that is stored, and name what is damaged')
    .argument('[name...]', 'check only what these stacks need')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/verify.ts')).verify));
  program
    .command('migrate')
    .description('bring what earlier versions stored up to this version')
    .option('--dry-run', 'show what would be done, and change nothing')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/migrate.ts')).migrate));
  program
    .command('gc')
    .description('remove what no revision, task or build needs')
    .option(
      '--keep-revisions <n>',
      'also remove old revisions; keep the current one, newer ones and the newest N',
    )
    .option('--dry-run', 'show what would be removed, and remove nothing')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/gc.ts')).gc));
  program
    .command('df')
    .description('show the disk space of stacks, builds and tasks')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/df.ts')).df));
}
