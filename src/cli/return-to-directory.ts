/** Back into the working directory that the executable's first instructions left: it has no path, and the engine starts in no such directory. */
import { constants, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { errnoCodeOf, StackshimError } from '../core/errors.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import { O_PATH } from '../sys/paths.ts';

const STDERR = 2;
/** As scripts/steps/leave-lost-directory.mjs opens it, before anything else is: descriptors that a caller hands over have hardly these. */
const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Relative paths lead where the caller's did. Throws ERR_STACKSHIM_INPUT_NOT_FOUND where the directory could not be opened: they would lead to
 * the place that the instructions went to.
 */
export function returnToDirectory(): void {
  if (process.cwd() !== `/proc/${readlinkSync('/proc/self')}/fdinfo`) return;
  const fd = readdirSync('/proc/self/fd').map(Number).sort(byNumber).find(isLeft);
  if (fd === undefined) {
    throw new StackshimError(
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
      'open the working directory: it no longer exists, or this user may not enter it',
      { hint: 'change to another directory' },
    );
  }
  linuxSystem.changeDirectory(fd);
  // In place of a standard stream that is closed it stays: what is opened next would be taken for the stream.
  if (fd > STDERR) linuxSystem.close(fd);
}

function isLeft(fd: number): boolean {
  try {
    const flags = /^flags:\t(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return (Number.parseInt(flags ?? '0', 8) & FLAGS) === FLAGS;
  } catch (error) {
    // The descriptor that the folder was read by.
    if (errnoCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

const byNumber = (one: number, other: number) => one - other;
