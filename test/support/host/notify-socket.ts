/** The receiving end of sd_notify(3): a datagram socket in place of the service manager's. */
import { closeSync, readSync, rmSync } from 'node:fs';
import { errnoCodeOf } from '../../../src/core/errors.ts';
import { invoke } from '../../../src/sys/invoke.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 0x2 | 0x8_0000 | 0x800;

export interface NotifySocket {
  readonly path: string;
  /** The next message; undefined if none waits. */
  receive(): string | undefined;
  /** All messages that wait. */
  receiveAll(): readonly string[];
  close(): void;
}

/** @param path A path that does not exist, or `@name`. */
export function openNotifySocket(path: string): NotifySocket {
  const fd = invoke({ name: 'socket' }, 'socket', AF_UNIX, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
  const name = Buffer.from(path.replace(/^@/, '\0'));
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  invoke({ name: 'bind', subject: path }, 'bind', fd, address, address.length);
  const receive = () => {
    const message = Buffer.alloc(4096);
    try {
      return message.subarray(0, readSync(fd, message)).toString();
    } catch (error) {
      if (errnoCodeOf(error) === 'EAGAIN') return undefined;
      throw error;
    }
  };
  return {
    path,
    receive,
    receiveAll() {
      const all: string[] = [];
      for (let one = receive(); one !== undefined; one = receive()) all.push(one);
      return all;
    },
    close() {
      closeSync(fd);
      if (path.startsWith('/')) rmSync(path, { force: true });
    },
  };
}
