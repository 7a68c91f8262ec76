/** Defines `verify`, `migrate`, `gc` and `df`. */
import type { Command } from 'commander';
import { defineCommand, JSON_FLAG } from './shared-options.ts';

export function defineStorageCommands(program: Command): void {
  defineCommand(program, 'verify', {
    about: 'check everything that is stored, and name what is damaged',
    args: [['[name...]', 'check only what these stacks need']],
    options: [JSON_FLAG],
    load: async () => (await import('../commands/verify.ts')).verify,
  });
  defineCommand(program, 'migrate', {
    about: 'bring what earlier versions stored up to this version',
    options: [['--dry-run', 'show what would be done, and change nothing'], JSON_FLAG],
    load: async () => (await import('../commands/migrate.ts')).migrate,
  });
  defineCommand(program, 'gc', {
    about: 'remove what no revision, task or build needs',
    options: [
      [
        '--keep-revisions <n>',
        'also remove old revisions; keep the current one, newer ones and the newest N',
      ],
      ['--dry-run', 'show what would be removed, and remove nothing'],
      JSON_FLAG,
    ],
    load: async () => (await import('../commands/gc.ts')).gc,
  });
  defineCommand(program, 'df', {
    about: 'show the disk space of stacks, builds and tasks',
    options: [JSON_FLAG],
    load: async () => (await import('../commands/df.ts')).df,
  });
}
