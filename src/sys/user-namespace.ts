/** User namespaces that only carry an id mapping, for idmapped mounts. A bind mount pins one until the next boot. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, statfsSync, writeFileSync } from 'node:fs';
import type { IdRange } from '../core/mount.ts';
import { started } from './started.ts';
import type { Fd, System } from './system.ts';

const NSFS_MAGIC = 0x6e73_6673;

/** Opens the namespace pinned at `path`. Undefined where nothing is pinned (first use since boot). */
export function openPinnedUserNamespace(path: string): Fd | undefined {
  let fd: Fd;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    if (statfsSync(path).type === NSFS_MAGIC) return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/**
 * Makes a user namespace that maps ids 0…size-1 to `range`, and with `pin` keeps it under that path (a plain file, made when missing)
 * until the next boot. Precondition: the caller holds the lock of what the path belongs to. Takes 5-10 ms.
 * The namespace is for idmapped mounts only: a process that joined it would share keyrings with every other one.
 */
export async function createUserNamespace(
  system: System,
  range: IdRange,
  pin?: string,
): Promise<Fd> {
  // The child holds the namespace until its stdin closes, at the latest when this process dies.
  const command = ['--user', '--', '/bin/sh', '-c', 'echo ready; read -r _'];
  const holder = await started(
    spawn('/usr/bin/unshare', command, { stdio: ['pipe', 'pipe', 'inherit'], env: {} }),
  );
  const ended = once(holder, 'exit');
  try {
    const ready = once(holder.stdout, 'data');
    await Promise.race([
      ready,
      ended.then(([code]) => {
        throw new Error(`unshare --user: exit code ${code}`);
      }),
    ]);
    const map = `0 ${range.base} ${range.size}\n`;
    writeFileSync(`/proc/${holder.pid}/uid_map`, map);
    writeFileSync(`/proc/${holder.pid}/gid_map`, map);
    const namespace = `/proc/${holder.pid}/ns/user`;
    if (pin !== undefined) pinNamespace(system, namespace, pin);
    return openSync(namespace, constants.O_RDONLY);
  } finally {
    holder.stdin.end();
    await ended;
  }
}

function pinNamespace(system: System, namespace: string, path: string): void {
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  system.bindMount(namespace, path);
}
