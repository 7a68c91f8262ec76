/** Defines `man`. Its code is loaded when it is called. */
import type { Command } from 'commander';

export function defineManual(program: Command): void {
  program
    .command('man')
    .description('write the manual pages of all commands into a folder')
    .argument('<dir>', 'the folder: /usr/local/share/man/man1')
    .action(async (folder: string) => {
      const { man } = await import('../commands/man.ts');
      await man(program, folder);
    });
}
