/** Defines `completion`, for users, and `complete`, which its scripts call at each completion. Their code is loaded when they are called. */
import { Argument, type Command } from 'commander';
import { whenCalled } from './shared-options.ts';

const MORE = `
bash: write in ~/.bashrc                       source <(stackshim completion bash)
zsh:  write in ~/.zshrc, after compinit        source <(stackshim completion zsh)
fish: write in ~/.config/fish/config.fish      stackshim completion fish | source`;

export function defineCompletion(program: Command): void {
  program
    .command('completion')
    .description('print a script that completes command lines in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', MORE)
    .action(whenCalled(async () => (await import('../commands/completion.ts')).completion));
  program
    .command('complete', { hidden: true })
    .description('suggest the next word, for the scripts of completion')
    .argument('[words...]', 'the words after the name of the program')
    .passThroughOptions()
    .action(async (words: readonly string[]) => {
      const { complete } = await import('../commands/complete.ts');
      await complete(program, words);
    });
}
