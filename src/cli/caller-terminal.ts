/** The terminal that `run -t` was started on: raw while the task has it, and always given back as it was. */
import { isatty } from 'node:tty';
import { StackshimError } from '../core/errors.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import type { WindowSize } from '../sys/system.ts';
import type { TaskTerminal } from '../task/terminal-streams.ts';

export interface CallerTerminal {
  /** Undefined where none of the standard streams is a terminal. */
  readonly task: TaskTerminal | undefined;
  /** A second call does nothing. */
  restore(): void;
}

/** Where what the task writes is seen comes first. */
const STANDARD_FDS = [1, 0, 2] as const;

/** Throws ERR_STACKSHIM_SPEC_INVALID when input is to come from something that is no terminal. */
export function openCallerTerminal(options: { readonly interactive: boolean }): CallerTerminal {
  const { stdin } = process;
  const { interactive } = options;
  if (interactive && !stdin.isTTY) {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      'run task: -t with -i needs a terminal as standard input',
      {
        hint: 'leave out -t when input comes from a pipe or a file',
        details: { field: 'tty' },
      },
    );
  }
  let raw = interactive;
  if (raw) stdin.setRawMode(true);
  const restore = () => {
    if (raw) stdin.setRawMode(false);
    raw = false;
  };
  process.once('exit', restore);
  const fd = STANDARD_FDS.find((candidate) => isatty(candidate));
  return { restore, task: fd === undefined ? undefined : followTerminal(fd) };
}

function followTerminal(fd: number): TaskTerminal {
  const readSize = (): WindowSize => linuxSystem.windowSize(fd);
  return {
    get size() {
      return readSize();
    },
    onResize(listener) {
      const onChange = () => listener(readSize());
      process.on('SIGWINCH', onChange);
      return () => void process.off('SIGWINCH', onChange);
    },
  };
}
