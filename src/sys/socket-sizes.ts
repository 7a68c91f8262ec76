/** How much memory one socket may hold, by the kernel's settings. Read once per process. */
import { readFileSync } from 'node:fs';

export interface SocketSizes {
  /** The most bytes that can wait in a receive queue: the kernel doubles the size that a program asks for, and accepts one message above it. */
  readonly receiveBytes: number;
  /** The most bytes that can wait in a TCP receive queue, which the kernel enlarges while a program reads. */
  readonly grownBytes: number;
  /** The most memory that the kernel uses for the options of a socket, in addition to its queues. */
  readonly optionBytes: number;
}

/** The longest IP message. */
const MESSAGE_BYTES = 65_536;

let known: SocketSizes | undefined;

export function socketSizes(): SocketSizes {
  known ??= readSizes();
  return known;
}

function readSizes(): SocketSizes {
  const largestOf = (name: string) =>
    Math.max(...readFileSync(`/proc/sys/net/${name}`, 'utf8').trim().split(/\s+/).map(Number));
  const receiveMax = Math.max(2 * largestOf('core/rmem_max'), largestOf('core/rmem_default'));
  const receiveBytes = receiveMax + MESSAGE_BYTES;
  const grownBytes = Math.max(receiveBytes, largestOf('ipv4/tcp_rmem') + MESSAGE_BYTES);
  return { receiveBytes, grownBytes, optionBytes: largestOf('core/optmem_max') };
}
