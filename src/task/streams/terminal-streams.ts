/** A task's terminal: the runtime makes it inside the task and sends us its master. */
import { closeSync } from 'node:fs';
import { type Feed, loadTerminal, type TerminalMaster } from '../../sys/pipes.ts';
import { openNullDevice } from '../../sys/start-program.ts';
import type { Fd, System, WindowSize } from '../../sys/system.ts';
import { warn } from '../events.ts';
import type { TaskStreams } from './task-streams.ts';

/** The terminal of whoever runs the task, as far as the task's own follows it. */
export interface TaskTerminal {
  /** As it is now: read when the task is about to start. */
  readonly size: WindowSize;
  /** Called with every change of size until the returned function is called. */
  onResize(listener: (size: WindowSize) => void): () => void;
}

/** For a task that follows no terminal: programs take a size of 0 for a broken terminal. */
const DEFAULT_SIZE: WindowSize = { rows: 24, columns: 80 };

/** One stream carries both directions; what the command writes counts as stdout. */
export async function openTerminalStreams(
  system: System,
  options: { readonly socket: string; readonly terminal: TaskTerminal | undefined },
): Promise<TaskStreams> {
  const { socket, terminal } = options;
  const openTerminal = await loadTerminal();
  const ends = openNullDevice('both');
  let silent: Fd | undefined = ends;
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
  const stopFollowing = () => {
    try {
      stopResize?.();
    } catch (error) {
      warn(error);
    }
    stopResize = undefined;
  };
  const closeListener = () => {
    if (listener !== undefined) system.close(listener);
    listener = undefined;
    if (silent !== undefined) closeSync(silent);
    silent = undefined;
  };
  return {
    childEnds: [ends, ends, ends],
    consoleSocket: socket,
    // The runtime makes the terminal, for the task's user.
    give: () => undefined,
    handOver() {
      // The runtime has sent the master before it ended: it waits in the socket.
      if (listener !== undefined) fd = system.receiveFd(listener);
      closeListener();
      if (fd !== undefined) master = openTerminal(fd);
    },
    connect(output, stdin) {
      if (fd === undefined || master === undefined) return;
      const { drain, feed } = master;
      const ttyFd = fd;
      system.setWindowSize(ttyFd, terminal?.size ?? DEFAULT_SIZE);
      stopResize = terminal?.onResize((size) => resize(system, ttyFd, size));
      output.readFrom('stdout', drain);
      if (stdin !== undefined) typing = feed(stdin, (error) => output.failInput(error));
    },
    close() {
      stopFollowing();
      typing?.stop();
      closeListener();
      if (master !== undefined) master.close();
      // It could not be opened as a terminal.
      else if (fd !== undefined) system.close(fd);
      fd = undefined;
    },
  };
}

/** Called by whoever owns the other terminal: the task's is of the wrong size then, and no worse. */
function resize(system: System, ttyFd: Fd, size: WindowSize): void {
  try {
    system.setWindowSize(ttyFd, size);
  } catch {
    // The next change of size tries again.
  }
}
