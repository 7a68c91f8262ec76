/** `completion`, for users, and `complete`, which its script calls at each completion. */
import type { Command } from 'commander';

/** For bash. Without suggestions, bash completes file names. */
const SCRIPT = `_stackshim() {
  local IFS=$'\\n' words=() word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD}"; do
    # Bash splits an option and its value at the equals sign.
    [ "$word" = = ] || words+=("$word")
  done
  COMPREPLY=($("\${COMP_WORDS[0]}" complete -- "\${words[@]}" 2>/dev/null))
}
complete -o default -F _stackshim stackshim
`;

export function defineCompletion(program: Command): void {
  program
    .command('completion')
    .description(
      'print a script for bash that completes command lines: source <(stackshim completion)',
    )
    .action(async () => {
      const { print } = await import('./print.ts');
      await print(SCRIPT);
    });
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .passThroughOptions()
    .action(async (words: readonly string[]) => {
      const { suggestWords } = await import('./suggest-words.ts');
      const { openDoor } = await import('../door/open-stackshim.ts');
      const { print } = await import('./print.ts');
      const suggested = suggestWords(program, words, await openDoor().knownNames());
      await print(suggested.map((word) => `${word}\n`).join(''));
    });
}
