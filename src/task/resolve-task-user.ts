/** Resolves the user of the command. Names are looked up in the image's own files; each path is resolved beneath its root. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';
import { type ResolvedUser, resolveUser } from '../oci/resolve-user.ts';
import type { System } from '../sys/system.ts';

/** The user database of a task's image is small; docker also stops reading at a limit. */
const MAX_DATABASE_BYTES = 1024 * 1024;

/** @param user `name|uid[:group|gid]`; empty: root. @param rootfs The mounted root filesystem. */
export function resolveTaskUser(system: System, user: string, rootfs: string): ResolvedUser {
  const root = openSync(rootfs, 'r');
  try {
    const read = (path: string) => readBeneath(system, root, path);
    return resolveUser(user, read('etc/passwd'), read('etc/group'));
  } finally {
    closeSync(root);
  }
}

/** Empty if the image has no such file. */
function readBeneath(system: System, root: number, path: string): string {
  const fd = unlessMissing(() => system.openInRoot(root, path));
  if (fd === undefined) return '';
  try {
    const text = Buffer.alloc(Math.min(fstatSync(fd).size, MAX_DATABASE_BYTES));
    return text.toString('utf8', 0, readSync(fd, text));
  } finally {
    system.close(fd);
  }
}
