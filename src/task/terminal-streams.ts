/** A task's terminal: the runtime makes it inside the task and sends us its master. */
import { createWriteStream } from 'node:fs';
import { drainTerminal } from '../sys/drain-terminal.ts';
import type { Fd, System, WindowSize } from '../sys/system.ts';
import type { TaskStreams } from './task-streams.ts';

/** The terminal of whoever runs the task, as far as the task's own follows it. */
export interface TaskTerminal {
  readonly size: WindowSize;
  /** Called with every change of size until the returned function is called. */
  onResize(listener: (size: WindowSize) => void): () => void;
}

/** One stream carries both directions; what the command writes counts as stdout. */
export function openTerminalStreams(
  system: System,
  options: { readonly socket: string; readonly terminal: TaskTerminal | undefined },
): TaskStreams {
  const { socket, terminal } = options;
  let listener: Fd | undefined = system.listenUnix(socket);
  let master: Fd | undefined;
  let stopResize: (() => void) | undefined;
  const closeListener = () => {
    if (listener !== undefined) system.close(listener);
    listener = undefined;
  };
  return {
    childEnds: ['ignore', 'ignore', 'ignore'],
    consoleSocket: socket,
    handOver() {
      // The runtime has sent the master before it ended: it waits in the socket.
      if (listener !== undefined) master = system.receiveFd(listener);
      closeListener();
    },
    connect(output, stdin) {
      if (master === undefined) return;
      const fd = master;
      if (terminal !== undefined) {
        system.setWindowSize(fd, terminal.size);
        stopResize = terminal.onResize((size) => system.setWindowSize(fd, size));
      }
      output.readFrom('stdout', (onChunk) => drainTerminal(fd, onChunk));
      if (stdin === undefined) return;
      const sink = createWriteStream('', { fd, autoClose: false });
      // EIO: the command has ended; its exit tells more.
      sink.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EIO') output.fail(error);
      });
      stdin.pipe(sink);
    },
    close() {
      stopResize?.();
      closeListener();
      if (master !== undefined) system.close(master);
      master = undefined;
    },
  };
}
