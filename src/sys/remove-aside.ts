/**
 * rmdir(2) and unlink(2) for paths on which the kernel may wait for milliseconds, such as former mount points and cgroups. They run on a
 * thread of the pool, so that the event loop goes on. The executable runs one task and has nothing else to do, so there they run directly:
 * the pool only costs time.
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
