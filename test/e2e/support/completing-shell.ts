/** Real bash and zsh at a terminal, with the completion of stackshim loaded; and what fish would offer. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { STACKSHIM } from '../../support/cli/run-cli.ts';
import { openTerminalSession } from '../../support/cli/terminal-session.ts';

export interface CompletingShell {
  /** Types the line, presses Tab, and returns the line as it is then. */
  complete(line: string): Promise<string>;
  /** Types the line, presses Tab, and returns what the shell lists below it up to `pattern`. */
  list(line: string, pattern: RegExp): Promise<string>;
  /** Leaves the shell. */
  end(): Promise<void>;
}

const PROMPT = 'ready> ';
/** Prints the line that is being edited; the shells below bind it to a key. */
const SHOW_KEY = '\u0014';
const CLEAR_LINE_KEY = '\u0015';

const BASH_START = `
PS1='${PROMPT}'
source <(stackshim completion bash)
bind 'set bell-style none' 'set page-completions off' 'set completion-query-items 0'
bind 'set show-all-if-ambiguous on'
bind 'set enable-bracketed-paste off'
bind -x '"\\C-t": printf "<<%s>>" "$READLINE_LINE"'
`;

const ZSH_START = `
PS1='${PROMPT}'
autoload -U compinit
compinit -D -u
source <(stackshim completion zsh)
setopt no_beep no_always_last_prompt
LISTMAX=1000
show-line() { print -rn -- "<<$BUFFER>>" }
zle -N show-line
bindkey -e
bindkey '^T' show-line
`;

export interface ShellPlace {
  /** Where its start file is written. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

export async function openShell(
  shell: 'bash' | 'zsh',
  { folder, env }: ShellPlace,
): Promise<CompletingShell> {
  const home = join(folder, shell);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, '.bashrc'), BASH_START);
  writeFileSync(join(home, '.zshrc'), ZSH_START);
  const start = {
    bash: `exec bash --noprofile --rcfile ${home}/.bashrc -i`,
    zsh: `ZDOTDIR=${home} exec zsh -d -i`,
  };
  const session = openTerminalSession(start[shell], {
    ...env,
    PATH: withStackshim(),
    TERM: 'xterm',
    LC_ALL: 'C.UTF-8',
    HOME: home,
  });
  await session.shown(PROMPT);
  return {
    async complete(line) {
      session.type(`${CLEAR_LINE_KEY}${line}\t${SHOW_KEY}`);
      const { match } = await session.shown(/<<([^>]*)>>/);
      return match[1] ?? '';
    },
    async list(line, pattern) {
      session.type(`${CLEAR_LINE_KEY}${line}\t`);
      const { before, match } = await session.shown(pattern);
      return `${before}${match[0]}`;
    },
    async end() {
      session.type(`${CLEAR_LINE_KEY}exit\r`);
      await session.ended;
    },
  };
}

/** What fish would offer for the line: words, each with a tab and its description if it has one. */
export function completeInFish(line: string, { env, folder }: ShellPlace): readonly string[] {
  const script = 'stackshim completion fish | source; complete --do-complete $argv[1]';
  const said = execFileSync('fish', ['--no-config', '--command', script, line], {
    env: { ...process.env, ...env, PATH: withStackshim(), HOME: folder, LC_ALL: 'C.UTF-8' },
    encoding: 'utf8',
  });
  return said.split('\n').filter(Boolean);
}

const withStackshim = () => `${dirname(STACKSHIM)}:${process.env['PATH']}`;
