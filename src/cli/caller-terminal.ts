/** The terminal that `run -t` was started on: raw while the task has it, and always given back as it was. */
import { StackshimError } from '../core/errors.ts';
import type { WindowSize } from '../sys/system.ts';
import type { TaskTerminal } from '../task/terminal-streams.ts';

/** What a task gets that is started away from a terminal. */
const DEFAULT_SIZE: WindowSize = { rows: 24, columns: 80 };

export interface CallerTerminal {
  readonly task: TaskTerminal;
  /** A second call does nothing. */
  restore(): void;
}

/** Throws ERR_STACKSHIM_SPEC_INVALID when input is to come from something that is no terminal. */
export function openCallerTerminal(options: { readonly interactive: boolean }): CallerTerminal {
  const { stdin, stdout } = process;
  if (options.interactive && !stdin.isTTY) {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      'run task: -t with -i needs a terminal as standard input',
      {
        hint: 'leave out -t when input comes from a pipe or a file',
        details: { field: 'tty' },
      },
    );
  }
  const raw = options.interactive;
  if (raw) stdin.setRawMode(true);
  const restore = () => {
    if (raw && stdin.isTTY) stdin.setRawMode(false);
  };
  process.once('exit', restore);
  const size = () => (stdout.isTTY ? { rows: stdout.rows, columns: stdout.columns } : DEFAULT_SIZE);
  return {
    restore,
    task: {
      size: size(),
      onResize(listener) {
        const changed = () => listener(size());
        stdout.on('resize', changed);
        return () => void stdout.off('resize', changed);
      },
    },
  };
}
