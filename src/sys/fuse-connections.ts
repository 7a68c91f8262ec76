/**
 * FUSE filesystems, as the kernel's control filesystem lists them: Documentation/filesystems/fuse/fuse.rst. A process that waits for a FUSE
 * server that does not answer cannot be killed, and may itself be the one that keeps the connection open: only aborting the connection ends
 * it.
 */
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { unlessMissing } from '../core/errors.ts';
import { fdPath } from './fd-path.ts';
import { type Fd, type System, SystemError } from './system.ts';

/**
 * Aborts the connections of FUSE filesystems that the matching users mounted: every process that waits for such a filesystem gets an error.
 * Reads the connections from its own detached mount of the control filesystem. Does nothing on a kernel without FUSE.
 */
export function abortFuseConnections(system: System, isUser: (uid: number) => boolean): void {
  const control = openControl(system);
  if (control === undefined) return;
  try {
    const root = fdPath(control);
    for (const name of readdirSync(root)) abortUnlessGone(`${root}/${name}`, isUser);
  } finally {
    system.close(control);
  }
}

function abortUnlessGone(connection: string, isUser: (uid: number) => boolean): void {
  unlessMissing(() => {
    if (isUser(statSync(connection).uid)) writeFileSync(`${connection}/abort`, '1', { flag: 'r+' });
  });
}

function openControl(system: System): Fd | undefined {
  let context: Fd;
  try {
    context = system.fsOpen('fusectl');
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENODEV') return undefined;
    throw error;
  }
  try {
    system.fsConfigCreate(context);
    return system.fsMount(context, 0);
  } finally {
    system.close(context);
  }
}
