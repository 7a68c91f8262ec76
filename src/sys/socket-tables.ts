/** Reads the socket tables of a network namespace below /proc/net. A task cannot make these reads wait. */
import { readSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';
import { withFd } from './paths.ts';
import type { Fd } from './system.ts';

export interface SocketTable {
  readonly sockets: number;
  /** Bytes waiting to be received, error messages included. */
  readonly receiveBytes: number;
  /** Bytes waiting to be sent. */
  readonly sendBytes: number;
  /** The number of sockets with bytes waiting to be sent. */
  readonly sending: number;
}

type Queues = readonly [receive: number, send: number];

/** The kernel fills at most a page per read. */
const READ_BYTES = 4096;
/** A read takes about 20 µs, more in a long table. */
const READS_A_TURN = 4;
const NOTHING: Queues = [0, 0];

export const NO_SOCKETS: SocketTable = { sockets: 0, receiveBytes: 0, sendBytes: 0, sending: 0 };

/** Parses `2DB0:00000000`: bytes waiting to be sent and to be received, in hexadecimal. */
function internetQueues(fields: readonly string[]): Queues {
  const [send = '0', receive = '0'] = fields[4]?.split(':') ?? [];
  return [Number.parseInt(receive, 16), Number.parseInt(send, 16)];
}

const QUEUES = {
  netlink: (fields) => [Number(fields[4]), Number(fields[5])],
  packet: (fields) => [Number(fields[6]), 0],
  udp: internetQueues,
  udp6: internetQueues,
  raw: internetQueues,
  raw6: internetQueues,
  icmp: internetQueues,
  icmp6: internetQueues,
  unix: () => NOTHING,
} as const satisfies Readonly<Record<string, (fields: readonly string[]) => Queues>>;

export type TableName = keyof typeof QUEUES;

/** Opens a file of the network namespace: see `System.openNetFile`. */
export type OpenNetFile = (name: string) => Fd;

/** Sums up a table without blocking the event loop; all zeros if the kernel lacks the protocol. */
export async function readSocketTable(open: OpenNetFile, name: TableName): Promise<SocketTable> {
  const file = openTable(open, name);
  if (file === undefined) return { ...NO_SOCKETS };
  return await withFd(file, async () => {
    const buffer = Buffer.alloc(READ_BYTES);
    const sum = { ...NO_SOCKETS, sockets: -1 };
    let rest = '';
    for (let reads = 1; ; reads += 1) {
      const bytesRead = readSync(file, buffer, 0, READ_BYTES, null);
      // The count began at -1, because the first line holds the column names.
      if (bytesRead === 0) return { ...sum, sockets: Math.max(0, sum.sockets) };
      const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) addLine(sum, name, line);
      if (reads % READS_A_TURN === 0) await new Promise(setImmediate);
    }
  });
}

function addLine(sum: Writable<SocketTable>, name: TableName, line: string): void {
  sum.sockets += 1;
  if (sum.sockets === 0 || name === 'unix') return;
  const [receive, send] = QUEUES[name](line.trim().split(/ +/));
  sum.receiveBytes += receive || 0;
  sum.sendBytes += send || 0;
  if (send > 0) sum.sending += 1;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Opens a table; undefined if the kernel lacks it. */
export function openTable(open: OpenNetFile, name: string): Fd | undefined {
  return unlessMissing(() => open(name));
}

/** The sockets of each kind: the numbers after `inuse` and `used` in sockstat and sockstat6. */
export function parseSocketCounts(text: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [, name = '', count] of text.matchAll(/^(\w+): (?:inuse|used) (\d+)/gm)) {
    counts.set(name, Number(count));
  }
  return counts;
}
