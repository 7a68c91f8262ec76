/** Limits the buffers of sockets on cgroup v1, which does not count them as memory. */
import { writeFileSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';

/** Named after TCP, but the kernel charges UDP sockets to it as well. The kernel counts nothing until it is set. */
export const SOCKET_LIMIT_FILE = 'memory.kmem.tcp.limit_in_bytes';

/** `directory` is in the memory hierarchy; undefined if there is none. */
export function limitSockets(directory: string | undefined, bytes: number): void {
  if (directory === undefined) return;
  const file = `${directory}/${SOCKET_LIMIT_FILE}`;
  unlessMissing(() => writeFileSync(file, String(bytes), { flag: 'r+' }));
}
