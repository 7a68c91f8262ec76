/** Opens files of any size whose place others may have had a hand in. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/**
 * Opens a regular file for reading; the caller closes it. Never waits: a FIFO or a device in its place is refused. Throws what open(2)
 * says (ELOOP for a link, unless `followLink`), and an `Error` for anything but a regular file.
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
