/** Sends a datagram to a Unix socket: unix(7). Node has only stream sockets. */
import { invoke } from './invoke.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 0x2 | 0x8_0000 | 0x800;
const MSG_NOSIGNAL = 0x4000;
/** sun_path holds 108 bytes. */
const MAX_ADDRESS = 107;

/** @param address A path, or `@name` for an abstract socket. Throws a SystemError: EAGAIN if the queue is full, others if nobody receives. */
export function sendDatagram(address: string, text: string): void {
  const name = Buffer.from(address.replace(/^@/, '\0'));
  if (!/^[/@]./.test(address) || name.length > MAX_ADDRESS) {
    throw new RangeError(`socket address ${address}: neither a path nor @name of up to 107 bytes`);
  }
  const destination = Buffer.alloc(2 + name.length);
  destination.writeUInt16LE(AF_UNIX, 0);
  name.copy(destination, 2);
  const bytes = Buffer.from(text);
  const fd = invoke({ name: 'socket' }, 'socket', AF_UNIX, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
  try {
    const as = { name: 'sendto', subject: address };
    const to = [destination, destination.length] as const;
    invoke(as, 'sendto', fd, bytes, bytes.length, MSG_NOSIGNAL, ...to);
  } finally {
    invoke({ name: 'close' }, 'close', fd);
  }
}
