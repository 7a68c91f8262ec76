/** User namespaces that only carry an id mapping, for idmapped mounts. A bind mount keeps (pins) one until the next boot. */

import { closeSync, constants, openSync, statfsSync, writeFileSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';
import type { IdMap, IdMaps, IdRange } from '../core/mount.ts';
import { fdPath } from './paths.ts';
import { drainPipe } from './pipes.ts';
import { openNullDevice, startProgram } from './start-program.ts';
import type { Fd, System } from './system.ts';

const NSFS_MAGIC = 0x6e73_6673;

/** Opens the namespace pinned at `path`. Undefined if none is pinned there, as before the first use since boot. */
export function openPinnedUserNamespace(path: string): Fd | undefined {
  const fd = unlessMissing(() => openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW));
  if (fd === undefined) return undefined;
  let isPinned = false;
  try {
    isPinned = statfsSync(path).type === NSFS_MAGIC;
    return isPinned ? fd : undefined;
  } finally {
    if (!isPinned) closeSync(fd);
  }
}

/** A user namespace without a mapping, kept by a process. */
export interface HeldUserNamespace {
  /** Sets the mapping, once, and opens the namespace. */
  map(maps: IdMaps): Fd;
  /** Ends the process and resolves when it is gone. The namespace lives on while open or pinned. Never rejects. */
  release(): Promise<void>;
}

/** Creates a user namespace for {@link HeldUserNamespace.map}. Takes 3 to 10 ms, during which the caller can do other work. */
export async function holdUserNamespace(system: System): Promise<HeldUserNamespace> {
  const { holder, keeper, output } = await startHolder(system);
  const ended = holder.exited.catch(() => null);
  const release = async () => {
    system.close(keeper);
    await ended;
  };
  const isReady = await hasWritten(output);
  const pid = await holder.running;
  const map = ({ uids, gids }: IdMaps): Fd => {
    writeFileSync(`/proc/${pid}/uid_map`, toMapText(uids));
    writeFileSync(`/proc/${pid}/gid_map`, toMapText(gids));
    return openSync(`/proc/${pid}/ns/user`, constants.O_RDONLY);
  };
  if (isReady) return { map, release };
  await release();
  throw new Error(`create user namespace: unshare exited with ${(await holder.exited).exitCode}`);
}

/** Closing `keeper` ends the process, at the latest when this process dies. The process writes to `output` once it has its namespace. */
async function startHolder(system: System) {
  const [input, keeper] = system.createPipe();
  const theirs = [input];
  const ours = [keeper];
  let nullDevice: Fd | undefined;
  try {
    const [output, writeEnd] = system.createPipe();
    theirs.push(writeEnd);
    ours.push(output);
    nullDevice = openNullDevice('both');
    const holder = startProgram({
      path: '/usr/bin/unshare',
      args: ['--user', '--', '/bin/sh', '-c', 'echo ready; read -r _'],
      env: {},
      stdio: [input, writeEnd, nullDevice],
    });
    await holder.running;
    return { holder, keeper, output };
  } catch (error) {
    for (const fd of ours) system.close(fd);
    throw error;
  } finally {
    for (const fd of theirs) system.close(fd);
    if (nullDevice !== undefined) closeSync(nullDevice);
  }
}

/** Whether the process wrote anything before it closed the pipe. */
function hasWritten(output: Fd): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const drain = drainPipe(output, () => {
      resolve(true);
      drain.finish();
    });
    drain.ended.then(() => resolve(false), reject);
  });
}

const toMapText = (maps: readonly IdMap[]) =>
  maps.map(({ from, to, size }) => `${from} ${to} ${size}\n`).join('');

/**
 * Creates a user namespace that maps ids 0…size-1 to `range`. With `pin`, keeps it at that path until the next boot (a plain file, created if
 * missing). Precondition: the caller holds the lock that covers the path. Takes 5-10 ms. Use the namespace only for idmapped mounts: processes
 * that join it would share keyrings.
 */
export async function createUserNamespace(
  system: System,
  range: IdRange,
  pin?: string,
): Promise<Fd> {
  const held = await holdUserNamespace(system);
  try {
    const map = [{ from: 0, to: range.base, size: range.size }];
    const namespace = held.map({ uids: map, gids: map });
    try {
      if (pin !== undefined) {
        closeSync(
          openSync(pin, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600),
        );
        system.bindMount(fdPath(namespace), pin);
      }
    } catch (error) {
      closeSync(namespace);
      throw error;
    }
    return namespace;
  } finally {
    await held.release();
  }
}
