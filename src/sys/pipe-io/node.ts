/** Pipes on Node: libuv polls them as sockets. */
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { countWaiting } from '../linux-streams.ts';
import type { Fd } from '../system.ts';
import type { PipeIo } from './contract.ts';
import { feedSink } from './feed-sink.ts';
import { PIPE_LAST_MS } from './last-bytes.ts';
import { SocketDrain } from './node-drain.ts';
import { openTerminal } from './node-terminal.ts';

/** Up to this size, a pipe takes a write completely or not at all: pipe(7). */
const PIPE_BUF = 4096;

const openSink = (fd: Fd) => new Socket({ fd, readable: false, writable: true });

export const pipeIo: PipeIo = {
  openTerminal,
  drainPipe: (fd, onChunk) =>
    new SocketDrain(
      {
        open(onread) {
          const options: SocketConstructorOpts & ConnectOpts = { fd, readable: true, onread };
          return new Socket({ ...options, writable: false });
        },
        countLast: () => countWaiting(fd),
        hasMore: () => countWaiting(fd) > 0,
        lastMs: PIPE_LAST_MS,
        isEnd: () => false,
      },
      onChunk,
    ),
  openSink,
  feedPipe: (fd, source, onError) =>
    feedSink(openSink(fd), source, { maxBytes: PIPE_BUF, onError }),
};
