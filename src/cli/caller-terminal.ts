/** The terminal that `run -t` was started on: raw while the task has it, and always given back as it was. */
import { isatty } from 'node:tty';
import { StackshimError } from '../core/errors.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import { makeTerminalRaw } from '../sys/raw-terminal.ts';
import type { WindowSize } from '../sys/system.ts';
import type { TaskTerminal } from '../task/streams/terminal-streams.ts';

export interface CallerTerminal {
  /** Undefined where none of the standard streams is a terminal. */
  readonly task: TaskTerminal | undefined;
  /** A second call does nothing. */
  restore(): void;
}

const STDIN = 0;
/** Where what the task writes is seen comes first. */
const STANDARD_FDS = [1, STDIN, 2] as const;

/** Throws ERR_STACKSHIM_SPEC_INVALID when input is to come from something that is no terminal. */
export function openCallerTerminal(options: { readonly interactive: boolean }): CallerTerminal {
  const { interactive } = options;
  if (interactive && !isatty(STDIN)) {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      'run task: -t with -i needs a terminal as standard input',
      {
        hint: 'leave out -t when input comes from a pipe or a file',
        details: { field: 'tty' },
      },
    );
  }
  let giveBack = interactive ? makeTerminalRaw(STDIN) : undefined;
  const restore = () => {
    giveBack?.();
    giveBack = undefined;
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
