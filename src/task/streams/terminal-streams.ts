/** A task's terminal: the runtime creates it inside the task and sends its master to this process. */
import { closeSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { isTerminalMaster } from '../../sys/linux-streams.ts';
import { type Feed, loadTerminal, type TerminalMaster } from '../../sys/pipes.ts';
import { openNullDevice } from '../../sys/start-program.ts';
import type { Fd, System, WindowSize } from '../../sys/system.ts';
import { warn } from '../events.ts';
import type { TaskStreams } from './task-streams.ts';

/** The caller's terminal, which the task's terminal follows. */
export interface TaskTerminal {
  /** The current size, read when the task is about to start. */
  readonly size: WindowSize;
  /** Calls `listener` at every change of size until the returned function is called. */
  onResize(listener: (size: WindowSize) => void): () => void;
}

/** Default size: programs take a size of 0 for a broken terminal. */
const DEFAULT_SIZE: WindowSize = { rows: 24, columns: 80 };

/** The initial size of a terminal. */
export const firstSizeOf = (terminal: TaskTerminal | undefined): WindowSize =>
  terminal?.size ?? DEFAULT_SIZE;

/** Opens the streams of a terminal: one stream carries both directions, and the command's output counts as stdout. */
export async function openTerminalStreams(
  system: System,
  socket: string,
  terminal: TaskTerminal | undefined,
): Promise<TaskStreams> {
  const openTerminal = await loadTerminal();
  const ends = openNullDevice('both');
  let listener: Fd | undefined;
  try {
    listener = system.listenUnix(socket);
  } catch (error) {
    closeSync(ends);
    throw error;
  }
  let fd: Fd | undefined;
  let master: TerminalMaster | undefined;
  let stopResize: (() => void) | undefined;
  let typing: Feed | undefined;
  const closeListener = () => {
    if (listener === undefined) return;
    system.close(listener);
    listener = undefined;
    closeSync(ends);
  };
  return {
    childEnds: [ends, ends, ends],
    consoleSocket: socket,
    // The runtime creates the terminal, for the task's user.
    give: () => undefined,
    handOver() {
      // The runtime sent the master before it ended, so the socket already holds it.
      if (listener !== undefined) fd = receiveTerminal(system, listener);
      closeListener();
      if (fd !== undefined) master = openTerminal(fd);
    },
    connect(output, stdin) {
      if (fd === undefined || master === undefined) return;
      const { drain, feed } = master;
      const ttyFd = fd;
      system.setWindowSize(ttyFd, firstSizeOf(terminal));
      stopResize = terminal?.onResize((size) => {
        try {
          system.setWindowSize(ttyFd, size);
        } catch {
          // Only the size is wrong; the next change of size tries again.
        }
      });
      output.readFrom('stdout', drain);
      if (stdin !== undefined) typing = feed(stdin, (error) => output.failInput(error));
    },
    close() {
      try {
        stopResize?.();
      } catch (error) {
        warn(error);
      }
      stopResize = undefined;
      typing?.stop();
      closeListener();
      if (master !== undefined) master.close();
      // The descriptor could not be opened as a terminal.
      else if (fd !== undefined) system.close(fd);
      fd = undefined;
    },
  };
}

/** Receives the terminal's master. A running task may have put something else in the place of its terminals. */
function receiveTerminal(system: System, listener: Fd): Fd {
  const received = system.receiveFd(listener);
  if (isTerminalMaster(received)) return received;
  // Closing a file may block on its filesystem.
  void system.closeAside(received);
  const message = 'receive the terminal of the command: the runtime sent a file that is none';
  const hint = 'the task has replaced /dev/ptmx, or the runtime is at fault; leave out -t';
  throw new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', message, { hint });
}
