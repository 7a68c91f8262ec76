/**
 * rmdir(2) and unlink(2), which the kernel may hold up for milliseconds where something was mounted or in cgroups: on a thread of the
 * pool, so that the event loop goes on. The executable has one thread to spare for one task: there a trip to the pool only takes longer.
 */
import { rmdirSync, unlinkSync } from 'node:fs';
import { rmdir, unlink } from 'node:fs/promises';
import { ffi } from '#ffi';

const hasPool = ffi.callOnPool !== undefined;

export async function rmdirAside(path: string | Buffer): Promise<void> {
  if (hasPool) await rmdir(path);
  else rmdirSync(path);
}

export async function unlinkAside(path: string | Buffer): Promise<void> {
  if (hasPool) await unlink(path);
  else unlinkSync(path);
}
