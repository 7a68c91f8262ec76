/** The terminal on which `run -t` or `exec -t` was started: in raw mode while the task has it, and always restored. */
import { isatty } from 'node:tty';
import { invalidInput } from '../../spec/field-errors.ts';
import { linuxSystem } from '../../sys/linux-system.ts';
import { makeTerminalRaw } from '../../sys/raw-terminal.ts';
import type { TaskTerminal } from '../../task/streams/terminal-streams.ts';

const STDIN = 0;
/** Standard output first: it shows the task's output. */
const STANDARD_FDS = [1, STDIN, 2] as const;

/**
 * Opens the terminal. `task` is undefined if no standard stream is a terminal. `restore` restores the terminal; a second call does nothing.
 * Throws ERR_STACKSHIM_SPEC_INVALID if input is requested and standard input is not a terminal.
 *
 * @param operation `run task`: the beginning of an error's message.
 */
export function openCallerTerminal(operation: string, interactive: boolean) {
  if (interactive && !isatty(STDIN)) {
    const message = `${operation}: -t with -i needs a terminal as standard input`;
    throw invalidInput('tty', message, 'leave out -t when input comes from a pipe or a file');
  }
  let restoreMode = interactive ? makeTerminalRaw(STDIN) : undefined;
  const restore = () => {
    restoreMode?.();
    restoreMode = undefined;
  };
  process.once('exit', restore);
  const fd = STANDARD_FDS.find((candidate) => isatty(candidate));
  return { restore, task: fd === undefined ? undefined : followTerminal(fd) };
}

function followTerminal(fd: number): TaskTerminal {
  const readSize = () => linuxSystem.windowSize(fd);
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
