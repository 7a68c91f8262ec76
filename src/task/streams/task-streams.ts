/** The standard streams of a task's command, and the ends that stay in this process. */
import { closeSync, fchownSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { UserIds } from '../../core/mount.ts';
import type { FeedPipe } from '../../sys/feed-pipe.ts';
import { openNullDevice } from '../../sys/start-program.ts';
import type { Fd, System } from '../../sys/system.ts';
import type { OutputMeter } from './task-output.ts';

export interface TaskStreams {
  /** The ends for the runtime, which passes them to the command. */
  readonly childEnds: readonly [Fd, Fd, Fd];
  /** With a terminal: the socket to which the runtime sends the terminal's master. */
  readonly consoleSocket?: string;
  /** Makes the command's user the owner. Call it before the container is created: a user cannot open `/dev/stderr` if the pipe is another user's. */
  give(owner: UserIds): void;
  /** Closes the ends that only the runtime needed. Call it when the container is created. */
  handOver(): void;
  /** Starts reading into `output` and writing from `stdin`. */
  connect(output: OutputMeter, stdin: Readable | undefined): void;
  /** Closes all descriptors that are still open here; a second call does nothing. */
  close(): void;
}

/** @param feedPipe Present if the task reads standard input. */
export function openPipeStreams(system: System, feedPipe: FeedPipe | undefined): TaskStreams {
  const open = new Map<Fd, (fd: Fd) => void>();
  const close = (fd: Fd) => {
    const closeIt = open.get(fd);
    open.delete(fd);
    closeIt?.(fd);
  };
  const closeAll = () => {
    for (const fd of [...open.keys()]) close(fd);
  };
  const openAll = <T extends readonly Fd[]>(make: () => T, closeOne: (fd: Fd) => void): T => {
    try {
      const made = make();
      for (const fd of made) open.set(fd, closeOne);
      return made;
    } catch (error) {
      closeAll();
      throw error;
    }
  };
  const pipe = () => openAll(() => system.createPipe(), system.close);
  const input = feedPipe === undefined ? undefined : pipe();
  const [childStdin] = input ?? openAll(() => [openNullDevice('both')] as const, closeSync);
  const [stdout, childStdout] = pipe();
  const [stderr, childStderr] = pipe();
  const take = (fd: Fd) => {
    open.delete(fd);
    return fd;
  };
  const childEnds = [childStdin, childStdout, childStderr] as const;
  let stop: (() => void) | undefined;
  return {
    childEnds,
    give(owner) {
      // Both ends of a pipe are one inode, so this changes the owner of both.
      for (const fd of childEnds) fchownSync(fd, owner.uid, owner.gid);
    },
    handOver() {
      for (const fd of childEnds) close(fd);
    },
    connect(output, stdin) {
      output.read('stdout', take(stdout));
      output.read('stderr', take(stderr));
      if (input === undefined || stdin === undefined) return;
      const feed = feedPipe?.(take(input[1]), stdin, (error) => output.failInput(error));
      stop = feed?.stop;
    },
    close() {
      stop?.();
      closeAll();
    },
  };
}
