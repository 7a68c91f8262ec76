/** Defines `verify`, `migrate`, `gc` and `df`. Their code is loaded when they are called. */
import type { Command } from 'commander';
import type { CollectCommandOptions } from '../commands/gc.ts';
import type { MigrateCommandOptions } from '../commands/migrate.ts';
import { JSON_FLAG, type JsonOption } from './shared-options.ts';

export function defineStorageCommands(program: Command): void {
  program
    .command('verify')
    .description('check everything that is stored, and name what is damaged')
    .argument('[name...]', 'check only what these stacks need')
    .option(...JSON_FLAG)
    .action(async (names: readonly string[], options: JsonOption) => {
      const { verify } = await import('../commands/verify.ts');
      process.exitCode = await verify(names, options);
    });
  program
    .command('migrate')
    .description('bring what earlier versions stored up to this version')
    .option('--dry-run', 'show what would be done, and change nothing')
    .option(...JSON_FLAG)
    .action(async (options: MigrateCommandOptions) => {
      const { migrate } = await import('../commands/migrate.ts');
      process.exitCode = await migrate(options);
    });
  program
    .command('gc')
    .description('remove what no revision, task or build needs')
    .option(
      '--keep-revisions <n>',
      'also remove old revisions; keep the current one, newer ones and the newest N',
    )
    .option('--dry-run', 'show what would be removed, and remove nothing')
    .option(...JSON_FLAG)
    .action(async (options: CollectCommandOptions) => {
      const { gc } = await import('../commands/gc.ts');
      process.exitCode = await gc(options);
    });
  program
    .command('df')
    .description('show the disk space of stacks, builds and tasks')
    .option(...JSON_FLAG)
    .action(async (options: JsonOption) => {
      const { df } = await import('../commands/df.ts');
      await df(options);
    });
}
