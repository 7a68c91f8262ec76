/** Pipes, Unix sockets and terminals: pipe2(2), unix(7), recvmsg(2), ioctl_tty(2). */
import { readFileSync } from 'node:fs';
import { ffi } from '#ffi';
import { invoke, invokeUnless } from './invoke.ts';
import type { System } from './system.ts';

const O_CLOEXEC = 0x8_0000;
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC_NONBLOCK = 0x1 | 0x8_0000 | 0x800;
const SOCK_CLOEXEC = 0x8_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const POLLIN = 1;
const POLLOUT = 4;
const FIONREAD = 0x541b;
const FIONBIO = 0x5421;
const FIOCLEX = 0x5451;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
/** sun_path holds 108 bytes, including the NUL. */
const MAX_SOCKET_PATH = 107;

export const linuxStreams = {
  createPipe() {
    const ends = Buffer.alloc(8);
    invoke({ name: 'pipe2' }, 'pipe2', ends, O_CLOEXEC);
    return [ends.readInt32LE(0), ends.readInt32LE(4)];
  },
  listenUnix(path) {
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
      throw new RangeError(`socket path ${path}: longer than ${MAX_SOCKET_PATH} bytes`);
    const fd = invoke({ name: 'socket' }, 'socket', AF_UNIX, SOCK_STREAM_CLOEXEC_NONBLOCK, 0);
    const address = Buffer.alloc(110);
    address.writeUInt16LE(AF_UNIX, 0);
    address.write(path, 2);
    try {
      invoke({ name: 'bind', subject: path }, 'bind', fd, address, address.length);
      invoke({ name: 'listen', subject: path }, 'listen', fd, 1);
      return fd;
    } catch (error) {
      invoke({ name: 'close' }, 'close', fd);
      throw error;
    }
  },
  receiveFd(listenFd) {
    const connection = invoke({ name: 'accept4' }, 'accept4', listenFd, 0, 0, SOCK_CLOEXEC);
    try {
      return receiveRights(connection);
    } finally {
      invoke({ name: 'close' }, 'close', connection);
    }
  },
  windowSize(ttyFd) {
    const size = Buffer.alloc(8);
    invoke({ name: 'ioctl', subject: 'TIOCGWINSZ' }, 'ioctl', ttyFd, TIOCGWINSZ, size);
    return { rows: size.readUInt16LE(0), columns: size.readUInt16LE(2) };
  },
  setWindowSize(ttyFd, { rows, columns }) {
    const size = Buffer.alloc(8);
    size.writeUInt16LE(rows, 0);
    size.writeUInt16LE(columns, 2);
    invoke({ name: 'ioctl', subject: 'TIOCSWINSZ' }, 'ioctl', ttyFd, TIOCSWINSZ, size);
  },
} satisfies Partial<System>;

/** Sets O_NONBLOCK on an open file, also for all other descriptors of that open file, even in other processes. */
export function setNonBlocking(fd: number): void {
  const on = Buffer.alloc(4);
  on.writeInt32LE(1);
  invoke({ name: 'ioctl', subject: 'FIONBIO' }, 'ioctl', fd, FIONBIO, on);
}

/** Keeps a descriptor that this process inherited from being inherited by the programs that it starts. */
export function setCloseOnExec(fd: number): void {
  invoke({ name: 'ioctl', subject: 'FIOCLEX' }, 'ioctl', fd, FIOCLEX, 0);
}

/** Bytes that a pipe or terminal has ready to read. */
export function countWaiting(fd: number): number {
  const count = Buffer.alloc(4);
  invoke({ name: 'ioctl', subject: 'FIONREAD' }, 'ioctl', fd, FIONREAD, count);
  return count.readInt32LE(0);
}

/** Whether a descriptor is a terminal's master. Asks only the kernel: other checks could wait for the file's filesystem. */
export const isTerminalMaster = (fd: number): boolean =>
  /^tty-index:/m.test(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));

/** Whether a write would return at once; false for a full pipe. */
export const takesBytes = (fd: number): boolean => isReadyFor(fd, POLLOUT);

/** Whether a read would return at once, with bytes, the end or an error. For a terminal, the kernel first delivers bytes in transit. */
export const givesBytes = (fd: number): boolean => isReadyFor(fd, POLLIN);

function isReadyFor(fd: number, events: number): boolean {
  // struct pollfd: fd, events, revents.
  const polled = Buffer.alloc(8);
  polled.writeInt32LE(fd, 0);
  polled.writeInt16LE(events, 4);
  return (invokeUnless(['EINTR'], { name: 'poll' }, 'poll', polled, 1, 0) ?? 0) > 0;
}

/** Reads one message and returns its only descriptor. */
function receiveRights(connection: number): number {
  const text = Buffer.alloc(4096);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(ffi.addressOf(text), 0);
  vector.writeBigUInt64LE(BigInt(text.length), 8);
  // struct cmsghdr {length, level, type} and one int, padded to 8.
  const control = Buffer.alloc(24);
  const message = Buffer.alloc(56);
  message.writeBigUInt64LE(ffi.addressOf(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(ffi.addressOf(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  invoke({ name: 'recvmsg' }, 'recvmsg', connection, message, MSG_CMSG_CLOEXEC);
  const carried = message.readBigUInt64LE(40) >= 20n;
  if (!carried || control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS) {
    throw new Error('recvmsg: the message carried no descriptor');
  }
  return control.readInt32LE(16);
}
