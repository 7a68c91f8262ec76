/** What a task's command gets as its standard streams, and what becomes of our ends. */
import { fchownSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { feedPipe } from '../../sys/pipes.ts';
import type { Fd, System } from '../../sys/system.ts';
import type { OutputMeter } from './task-output.ts';

export interface TaskStreams {
  /** For the runtime, which hands them to the command. */
  readonly childEnds: readonly [Fd | 'ignore', Fd | 'ignore', Fd | 'ignore'];
  /** With a terminal: where the runtime sends its master. */
  readonly consoleSocket?: string;
  /** To be called before the container is created: the task's user could not open `/dev/stderr` of somebody else's pipe. */
  give(owner: StreamOwner): void;
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

export function openPipeStreams(
  system: System,
  options: { readonly interactive: boolean },
): TaskStreams {
  const open = new Set<Fd>();
  const close = (fd: Fd) => {
    if (open.delete(fd)) system.close(fd);
  };
  const pipe = () => {
    try {
      const ends = system.createPipe();
      for (const fd of ends) open.add(fd);
      return ends;
    } catch (error) {
      for (const fd of [...open]) close(fd);
      throw error;
    }
  };
  const input = options.interactive ? pipe() : undefined;
  const [stdout, childStdout] = pipe();
  const [stderr, childStderr] = pipe();
  const take = (fd: Fd) => {
    open.delete(fd);
    return fd;
  };
  const passedOn = [input?.[0], childStdout, childStderr].filter((fd) => fd !== undefined);
  let stop: (() => void) | undefined;
  return {
    childEnds: [input?.[0] ?? 'ignore', childStdout, childStderr],
    give(owner) {
      // Both ends of a pipe are one inode.
      for (const fd of passedOn) fchownSync(fd, owner.uid, owner.gid);
    },
    handOver() {
      for (const fd of passedOn) close(fd);
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
