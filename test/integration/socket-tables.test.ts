/** What the kernel reports about sockets of a network namespace. Requires: root; a kernel with inet_diag. */
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { openNetNamespace } from '../../src/sys/linux-processes.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { parseSocketCounts, readSocketTable } from '../../src/sys/socket-tables.ts';
import { readTcpSockets, type TcpSocket } from '../../src/sys/tcp-sockets.ts';
import { parseSocketsUsed } from '../../src/task/ending/socket-watch.ts';
import { scaled } from '../support/timing/time-scale.ts';

async function tcpSockets(pid: number): Promise<readonly TcpSocket[]> {
  const namespace = openNetNamespace(pid);
  const fd = linuxSystem.openSocketDiagnosis(namespace);
  closeSync(namespace);
  try {
    const found: TcpSocket[] = [];
    expect(await readTcpSockets(fd, 'inet', (socket) => found.push(socket))).toBe(true);
    return found;
  } finally {
    linuxSystem.close(fd);
  }
}

const MANY = 600;

it('every TCP socket is reported with its port, its waiting connections and its queued bytes', async () => {
  const server = createServer((socket) => socket.pause());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const clients = Array.from({ length: MANY }, () => connect(port, '127.0.0.1'));
  onTestFinished(() => {
    for (const client of clients) client.destroy();
  });
  await Promise.all(clients.map((client) => once(client, 'connect')));
  const [first] = clients;
  // More than the server's stream accepts before it pauses.
  first?.write(Buffer.alloc(400_000));
  const look = async () => (await tcpSockets(process.pid)).filter((socket) => socket.port === port);
  const most = (sockets: readonly TcpSocket[]) => Math.max(...sockets.map(({ bytes }) => bytes));
  await expect
    .poll(async () => most(await look()), { timeout: scaled(20_000) })
    .toBeGreaterThan(30_000);
  const ofPort = await look();
  expect(ofPort.filter(({ isListening }) => isListening)).toHaveLength(1);
  expect(ofPort.filter(({ isListening }) => !isListening)).toHaveLength(MANY);
});

it('the sockets of a process are read in its network namespace, and the reader returns to its own', async () => {
  const home = readlinkSync('/proc/thread-self/ns/net');
  const alone = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  onTestFinished(async () => {
    alone.stdin.end();
    await once(alone, 'exit');
  });
  alone.stdin.write('ready');
  await once(alone.stdout, 'data');
  const pid = alone.pid ?? 0;
  expect(readlinkSync(`/proc/${pid}/ns/net`)).not.toBe(home);
  const stat = readFileSync(`/proc/${pid}/net/sockstat`);
  expect(await tcpSockets(pid)).toEqual([]);
  expect(readlinkSync('/proc/thread-self/ns/net')).toBe(home);
  expect(parseSocketsUsed(stat)).toBe(0);
  expect(parseSocketCounts(stat.toString()).get('TCP')).toBe(0);
});

const openOwn = (name: string) => openSync(`/proc/self/net/${name}`, 'r');

it('the queued bytes of a table are added up', async () => {
  const receiver = createSocket({ type: 'udp4', recvBufferSize: 100_000 });
  receiver.bind(0, '127.0.0.1');
  await once(receiver, 'listening');
  const { port } = receiver.address();
  onTestFinished(() => void receiver.close());
  const before = await readSocketTable(openOwn, 'udp');
  expect(before.sockets).toBeGreaterThanOrEqual(1);
  // Another program sends while this process, blocked on it, reads nothing.
  const send = `printf %01000d 0 > /dev/udp/127.0.0.1/${port}`;
  for (let sent = 0; sent < 3; sent += 1) execFileSync('bash', ['-c', send]);
  const after = readSocketTable(openOwn, 'udp');
  expect((await after).receiveBytes).toBeGreaterThanOrEqual(before.receiveBytes + 3000);
  expect((await readSocketTable(openOwn, 'netlink')).sockets).toBeGreaterThan(0);
});

it('counts are parsed as the kernel writes them', () => {
  const text =
    'sockets: used 80151\nTCP: inuse 8 orphan 1 tw 2 alloc 3 mem 4\nUDP: inuse 17 mem 0\n';
  expect([...parseSocketCounts(`${text}RAW6: inuse 5\n`)]).toEqual([
    ['sockets', 80_151],
    ['TCP', 8],
    ['UDP', 17],
    ['RAW6', 5],
  ]);
  expect(parseSocketsUsed(Buffer.from(text))).toBe(80_151);
  // The table is cut after its first line while it is read.
  expect(parseSocketsUsed(Buffer.from('sockets: used 7'))).toBe(7);
});
