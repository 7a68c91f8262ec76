/** Defines `completion` for users, `complete`, which its scripts call at each completion, and `man`; all read the program's definition. */
import { Argument, type Command } from 'commander';
import { defineCommand } from './shared-options.ts';

const MORE = `
bash: write in ~/.bashrc                       source <(stackshim completion bash)
zsh:  write in ~/.zshrc, after compinit        source <(stackshim completion zsh)
fish: write in ~/.config/fish/config.fish      stackshim completion fish | source`;

export function defineHelpCommands(program: Command): void {
  defineCommand(program, 'completion', {
    about: 'print a script that completes command lines in a shell',
    load: async () => (await import('../commands/completion.ts')).completion,
  })
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', MORE);
  program
    .command('complete', { hidden: true })
    .description('suggest the next word, for the scripts of completion')
    .argument('[words...]', 'the words after the name of the program')
    .passThroughOptions()
    .action(async (words: readonly string[]) => {
      const { complete } = await import('../commands/complete.ts');
      await complete(program, words);
    });
  program
    .command('man')
    .description('write the manual pages of all commands into a folder')
    .argument('<dir>', 'the folder: /usr/local/share/man/man1')
    .action(async (folder: string) => {
      const { man } = await import('../commands/man.ts');
      await man(program, folder);
    });
}
