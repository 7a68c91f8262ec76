/** Opens regular files where other users may have changed the path. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/**
 * Opens a regular file of any size for reading where other users may have changed the path; the caller closes it. Never waits, and refuses a FIFO
 * or device. Throws the error of open(2) (ELOOP for a link, unless `followLink`), and an `Error` for anything but a regular file.
 */
export async function openRegularFile(
  path: string,
  { followLink }: { readonly followLink: boolean },
): Promise<FileHandle> {
  const link = followLink ? 0 : constants.O_NOFOLLOW;
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | link;
  const file = await open(path, flags);
  try {
    if (!(await file.stat()).isFile()) throw new Error('not a regular file');
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
