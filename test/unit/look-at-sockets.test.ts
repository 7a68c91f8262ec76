/** What sockets of a network namespace hold, on kernels that report less. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { lookAtSockets } from '../../src/task/ending/look-at-sockets.ts';

const lookHere = (open: (name: string) => number) =>
  lookAtSockets({
    open,
    diagnosis: () => undefined,
    chargedBytes: () => 0,
    resetBytes: 0,
    unlistedBytes: 0,
    unsentBytes: 0,
  });

test('on a kernel without IPv6 all other sockets are reported', async () => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const names: string[] = [];
  const open = (name: string) => {
    names.push(name);
    if (name.endsWith('6')) throw Object.assign(new Error(name), { code: 'ENOENT' });
    return openSync(`/proc/self/net/${name}`, 'r');
  };
  expect(await lookHere(open)).toBeGreaterThanOrEqual(0);
  expect(names).toEqual(expect.arrayContaining(['sockstat', 'sockstat6', 'udp', 'netlink']));
  socket.close();
});
