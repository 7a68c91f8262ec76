/** Defines `cp`, and the hidden command that the executable runs as the copying process of `cp`. */
import type { Command } from 'commander';
import { whenCalled } from './shared-options.ts';

const MORE = `
One of the two is ID:PATH, a path in a running or kept task; the other is a path of this machine, or - for a tar.
SRC/. copies what is in a folder. A folder goes into an existing folder, or becomes DST if there is none.`;

export function defineCopyCommands(program: Command): void {
  program
    .command('cp')
    .description('copy files out of a task, or into it')
    .argument('<src>', 'ID:PATH, or a path, or - for a tar from standard input')
    .argument('<dst>', 'a path, or - for a tar to standard output, or ID:PATH')
    .addHelpText('after', MORE)
    .action(whenCalled(async () => (await import('../commands/cp.ts')).cp));
  program
    .command('copy-process', { hidden: true })
    .description('copy files of a task, for `cp`')
    .argument('<order>', 'what to copy, as JSON')
    .action(async (order: string) => {
      const { serveCopy } = await import('../../task/copying/serve-copy.ts');
      await serveCopy(JSON.parse(order));
    });
}
