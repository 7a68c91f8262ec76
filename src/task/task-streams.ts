/** What a task's command gets as its standard streams, and what becomes of our ends. */
import { fchownSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { feedPipe } from '../sys/pipes.ts';
import type { Fd, System } from '../sys/system.ts';
import type { OutputMeter } from './task-output.ts';

export interface TaskStreams {
  /** For the runtime, which hands them to the command. */
  readonly childEnds: readonly [Fd | 'ignore', Fd | 'ignore', Fd | 'ignore'];
  /** With a terminal: where the runtime sends its master. */
  readonly consoleSocket?: string;
  /** The container is created: gives up what only the runtime needed. */
  handOver(): void;
  /** Begins to read into `output` and to write from `stdin`. */
  connect(output: OutputMeter, stdin: Readable | undefined): void;
  /** Closes whatever is still ours; a second call does nothing. */
  close(): void;
}

/** Host ids of the user that the command runs as. */
export interface StreamOwner {
  readonly uid: number;
  readonly gid: number;
}

/** Pipes. They belong to the task's user, or the task could not open `/dev/stderr`. */
export function openPipeStreams(
  system: System,
  options: { readonly interactive: boolean; readonly owner: StreamOwner },
): TaskStreams {
  const open = new Set<Fd>();
  const pipe = () => {
    const ends = system.createPipe();
    for (const fd of ends) open.add(fd);
    // Both ends are one inode.
    fchownSync(ends[1], options.owner.uid, options.owner.gid);
    return ends;
  };
  const close = (fd: Fd) => {
    if (open.delete(fd)) system.close(fd);
  };
  const input = options.interactive ? pipe() : undefined;
  const [stdout, childStdout] = pipe();
  const [stderr, childStderr] = pipe();
  const take = (fd: Fd) => {
    open.delete(fd);
    return fd;
  };
  let stop: (() => void) | undefined;
  return {
    childEnds: [input?.[0] ?? 'ignore', childStdout, childStderr],
    handOver() {
      for (const fd of [input?.[0], childStdout, childStderr]) if (fd !== undefined) close(fd);
    },
    connect(output, stdin) {
      output.read('stdout', take(stdout));
      output.read('stderr', take(stderr));
      if (input === undefined || stdin === undefined) return;
      const feed = feedPipe(take(input[1]), stdin, (error) => output.fail(error));
      stop = feed.stop;
    },
    close() {
      stop?.();
      for (const fd of [...open]) close(fd);
    },
  };
}
