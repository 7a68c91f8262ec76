/** Pipes on Node: libuv polls them as sockets. */
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { countWaiting } from '../linux-streams.ts';
import type { Fd } from '../system.ts';
import type { PipeIo } from './contract.ts';
import { SocketDrain } from './node-drain.ts';
import { PIPE_LAST_MS } from './reading.ts';

/** A pipe takes a write of up to this size completely or not at all: pipe(7). */
const PIPE_BUF = 4096;

const openSink = (fd: Fd) => new Socket({ fd, readable: false, writable: true });

export const pipeIo: PipeIo = {
  loadTerminal: async () => (await import('./node-terminal.ts')).openTerminal,
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
  sinkWriteBytes: PIPE_BUF,
};
