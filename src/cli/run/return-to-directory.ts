/** Returns to a working directory without a path. The engine does not start in one, so the executable's first instructions left it. */
import { constants, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { StackshimError, unlessMissing } from '../../core/errors.ts';
import { linuxSystem } from '../../sys/linux-system.ts';
import { O_PATH } from '../../sys/paths.ts';

const STDERR = 2;
/** The flags with which scripts/steps/leave-lost-directory.mjs opens the directory first of all. A caller's descriptors hardly have these flags. */
const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Changes to the directory, so that relative paths mean the same as to the caller. Throws ERR_STACKSHIM_INPUT_NOT_FOUND if the directory
 * could not be opened, because relative paths would then lead to another place.
 */
export function returnToDirectory(): void {
  if (process.cwd() !== `/proc/${readlinkSync('/proc/self')}/fdinfo`) return;
  const fd = readdirSync('/proc/self/fd')
    .map(Number)
    .sort((a, b) => a - b)
    .find(isCallerDirectory);
  if (fd === undefined) {
    throw new StackshimError(
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
      'open the working directory: it no longer exists, or this user may not enter it',
      { hint: 'change to another directory' },
    );
  }
  linuxSystem.changeDirectory(fd);
  // If the descriptor has the number of a closed standard stream, keep it open: a later file would be taken for that stream.
  if (fd > STDERR) linuxSystem.close(fd);
}

function isCallerDirectory(fd: number): boolean {
  // There is none for the descriptor through which the folder was read.
  const info = unlessMissing(() => readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? '';
  const flags = /^flags:\t(\d+)$/m.exec(info)?.[1];
  return (Number.parseInt(flags ?? '0', 8) & FLAGS) === FLAGS;
}
