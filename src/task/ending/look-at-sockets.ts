/** Adds up the memory of a task's sockets that is charged to no cgroup. Loaded when a task has enough sockets to exceed its limit. */
import { readFileSync } from 'node:fs';
import { withFd } from '../../sys/paths.ts';
import {
  NO_SOCKETS,
  type OpenNetFile,
  openTable,
  parseSocketCounts,
  readSocketTable,
  type SocketTable,
  type TableName,
} from '../../sys/socket-tables.ts';
import type { Fd } from '../../sys/system.ts';
import { type InternetFamily, readTcpSockets } from '../../sys/tcp-sockets.ts';

export interface SocketLook {
  /** Opens files of the task's network namespace. */
  readonly open: OpenNetFile;
  /** Opens a diagnosis socket in that namespace; undefined if the kernel has no socket diagnosis. */
  readonly diagnosis: () => Fd | undefined;
  /** The bytes of TCP and UDP sockets that are charged to the cgroup; null: unknown. */
  readonly chargedBytes: () => number | null;
  /** The most bytes in a connection that was reset before it was accepted. */
  readonly resetBytes: number;
  /** The most bytes in any other socket that the kernel does not list. */
  readonly unlistedBytes: number;
  /** The most memory of a message that waits to be sent, of which the kernel reports only the bytes. */
  readonly unsentBytes: number;
}

/** The size of a TCP socket itself (`TCP` in /proc/slabinfo). It is charged to no cgroup: the kernel creates it while it answers the sender. */
const TCP_SOCKET_BYTES = 2560;
const NETLINK_SOCKET_BYTES = 2048;
/** The number of unlisted or sending sockets to ignore, because lists and counts are not taken at the same moment. */
const FREE_SOCKETS = 64;

/** Returns the number of bytes. */
export async function lookAtSockets(look: SocketLook): Promise<number> {
  const before = countSockets(look.open);
  const table = (name: TableName, kind: string) =>
    before.get(kind) === 0 ? NO_SOCKETS : readSocketTable(look.open, name);
  const tcp = await readTcp(look, before);
  const udp = join(await table('udp', 'UDP'), await table('udp6', 'UDP6'));
  const raw = join(await table('raw', 'RAW'), await table('raw6', 'RAW6'));
  const ping = join(await table('icmp', 'PING'), await table('icmp6', 'PING6'));
  const netlink = await readSocketTable(look.open, 'netlink');
  const packet = await readSocketTable(look.open, 'packet');
  const after = countSockets(look.open);
  const used = Math.min(before.get('sockets') ?? 0, after.get('sockets') ?? 0);
  const tables = [udp, raw, ping, netlink, packet];
  const listed = tables.reduce((sum, { sockets }) => sum + sockets, tcp.sockets);
  let unlisted = Math.max(0, used - listed);
  // Unix sockets are charged to the task. Read their list only if they matter, because it is as long as their number.
  if (beyondFree(unlisted) * look.unlistedBytes > 0) {
    unlisted = Math.max(0, unlisted - (await readSocketTable(look.open, 'unix')).sockets);
  }
  const charged = look.chargedBytes() ?? 0;
  return (
    Math.max(0, tcp.bytes + udp.receiveBytes - charged) +
    tables.reduce((sum, { sendBytes }) => sum + sendBytes, 0) +
    beyondFree(udp.sending + raw.sending + ping.sending) * look.unsentBytes +
    [raw, ping, netlink, packet].reduce((sum, { receiveBytes }) => sum + receiveBytes, 0) +
    tcp.sockets * TCP_SOCKET_BYTES +
    netlink.sockets * NETLINK_SOCKET_BYTES +
    beyondFree(tcp.reset) * look.resetBytes +
    beyondFree(unlisted - tcp.reset) * look.unlistedBytes
  );
}

const beyondFree = (sockets: number) => Math.max(0, sockets - FREE_SOCKETS);

const join = (one: SocketTable, other: SocketTable): SocketTable => ({
  sockets: one.sockets + other.sockets,
  receiveBytes: one.receiveBytes + other.receiveBytes,
  sendBytes: one.sendBytes + other.sendBytes,
  sending: one.sending + other.sending,
});

function countSockets(open: OpenNetFile): ReadonlyMap<string, number> {
  const read = (name: string) => {
    const file = openTable(open, name);
    return file === undefined ? '' : withFd(file, () => readFileSync(file, 'utf8'));
  };
  // `sockstat6` is missing if IPv6 was disabled at boot.
  return parseSocketCounts(read('sockstat') + read('sockstat6'));
}

async function readTcp(look: SocketLook, counts: ReadonlyMap<string, number>) {
  // `reset`: connections that wait to be accepted, but are in no list because they were reset.
  const tcp = { sockets: 0, bytes: 0, reset: 0 };
  const families: readonly [InternetFamily, string][] = [
    ['inet', 'TCP'],
    ['inet6', 'TCP6'],
  ];
  // Counted by port over both families, because an IPv6 socket also accepts IPv4 connections.
  const waiting = new Map<number, number>();
  for (const [family, kind] of families) {
    const count = counts.get(kind) ?? 0;
    if (count === 0) continue;
    const diagnosis = look.diagnosis();
    const isListed =
      diagnosis !== undefined &&
      (await readTcpSockets(diagnosis, family, (socket) => {
        tcp.sockets += 1;
        tcp.bytes += socket.bytes;
        const change = socket.isUnaccepted ? -1 : socket.waiting;
        if (change !== 0) waiting.set(socket.port, (waiting.get(socket.port) ?? 0) + change);
      }));
    if (!isListed) tcp.sockets += count;
  }
  for (const left of waiting.values()) tcp.reset += Math.max(0, left);
  return tcp;
}
