/** The tables of a network namespace's sockets below /proc/PID/net. A task can make none of these reads wait. */
import { open } from 'node:fs/promises';
import { errnoCodeOf } from '../core/errors.ts';

export interface SocketTable {
  readonly sockets: number;
  /** What waits to be received, errors among it. */
  readonly receiveBytes: number;
  /** What waits to be sent. */
  readonly sendBytes: number;
}

export type TableName =
  | 'netlink'
  | 'packet'
  | 'udp'
  | 'udp6'
  | 'raw'
  | 'raw6'
  | 'icmp'
  | 'icmp6'
  | 'unix';

type Queues = readonly [receive: number, send: number];

const READ_BYTES = 32_768;
const NOTHING: Queues = [0, 0];

/** `2DB0:00000000`: what waits to be sent and to be received, in hexadecimal digits. */
function internetQueues(fields: readonly string[]): Queues {
  const [send = '0', receive = '0'] = fields[4]?.split(':') ?? [];
  return [Number.parseInt(receive, 16), Number.parseInt(send, 16)];
}

const QUEUES: Readonly<Record<TableName, (fields: readonly string[]) => Queues>> = {
  netlink: (fields) => [Number(fields[4]), Number(fields[5])],
  packet: (fields) => [Number(fields[6]), 0],
  udp: internetQueues,
  udp6: internetQueues,
  raw: internetQueues,
  raw6: internetQueues,
  icmp: internetQueues,
  icmp6: internetQueues,
  unix: () => NOTHING,
};

/** Adds up a table, reading it on other threads; an empty one where the kernel has no such protocol. */
export async function readSocketTable(pid: number, name: TableName): Promise<SocketTable> {
  const file = await openTable(`/proc/${pid}/net/${name}`);
  if (file === undefined) return { sockets: 0, receiveBytes: 0, sendBytes: 0 };
  try {
    const buffer = Buffer.alloc(READ_BYTES);
    // The first line has the names of the columns.
    let [sockets, receiveBytes, sendBytes, rest] = [-1, 0, 0, ''];
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, null);
      if (bytesRead === 0) return { sockets: Math.max(0, sockets), receiveBytes, sendBytes };
      const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (sockets >= 0 && name !== 'unix') {
          const [receive, send] = QUEUES[name](line.trim().split(/ +/));
          receiveBytes += receive || 0;
          sendBytes += send || 0;
        }
        sockets += 1;
      }
    }
  } finally {
    await file.close();
  }
}

async function openTable(path: string) {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** How many sockets of each kind there are: the numbers behind `inuse` and `used` in the text of sockstat and sockstat6. */
export function parseSocketCounts(text: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [, name = '', count] of text.matchAll(/^(\w+): (?:inuse|used) (\d+)/gm)) {
    counts.set(name, Number(count));
  }
  return counts;
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
