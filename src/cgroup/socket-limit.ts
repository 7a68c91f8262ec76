/** The limit that cgroup v1 has for the buffers of sockets, which it does not count as memory. */
import { writeFileSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';

/** Of TCP by its name; the kernel charges what UDP sockets hold to it as well. Until it is set, nothing is counted. */
export const SOCKET_LIMIT_FILE = 'memory.kmem.tcp.limit_in_bytes';

/** `directory` is in the memory hierarchy; undefined where there is none. */
export function limitSockets(directory: string | undefined, bytes: number): void {
  if (directory === undefined) return;
  try {
    writeFileSync(`${directory}/${SOCKET_LIMIT_FILE}`, String(bytes), { flag: 'r+' });
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOENT') throw error;
  }
}
