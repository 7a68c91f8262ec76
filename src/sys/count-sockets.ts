/** How many sockets there are, and how much one may hold by the settings of the kernel. */
import { readFileSync } from 'node:fs';

export interface SocketSizes {
  /** What can wait in a socket's receive queue: the kernel doubles what a program asks for, and lets one message pass. */
  readonly receiveBytes: number;
  /** What can wait there in a TCP socket, which the kernel lets grow while a program reads. */
  readonly grownBytes: number;
  /** What the kernel keeps for a socket besides: its options. */
  readonly optionBytes: number;
}

/** The longest message of IP. */
const MESSAGE_BYTES = 65_536;

/** Read once per process. */
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

/** The number of all sockets, which text of sockstat begins with. */
export function parseSocketsUsed(text: Buffer): number {
  // `sockets: used 12`
  let used = 0;
  for (let at = 14; at < text.length; at += 1) {
    const digit = (text[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    used = used * 10 + digit;
  }
  return used;
}
