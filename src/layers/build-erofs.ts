/** Makes an EROFS file of a clean tar: unprivileged, in a folder of its own, all or nothing. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chown, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StackshimError } from '../core/errors.ts';
import type { ArchivePolicy } from './archive-policy.ts';
import { findProgram } from './find-program.ts';
import { guardDisk } from './guard-disk.ts';
import { runMkfs } from './run-mkfs.ts';

export interface BuildErofsOptions {
  readonly policy: ArchivePolicy;
  /** `lz4` halves the disk; `none` is quicker to make, for an image of one use. */
  readonly compression: 'lz4' | 'none';
  readonly signal?: AbortSignal | undefined;
}

/** No one's user: `mkfs.erofs` reads what strangers made, and needs nothing but its folder. */
const UNPRIVILEGED_ID = 65_534;
/** Any fixed one will do: equal contents become equal files. */
const FILESYSTEM_UUID = '73746163-6b73-4869-ad00-000000000000';
/** Compressing the largest layer there may be takes a few minutes. */
const MAX_CPU_S = 1_800;
const IMAGE_NAME = 'image.erofs';

/**
 * Makes `destination`, a read-only EROFS file, not synced yet; equal tars give equal files.
 * Works beside it in a folder that is gone when the promise settles; on failure there is no `destination`.
 * What reading `tar` throws is passed on. Otherwise: ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_DISK_FULL,
 * ERR_STACKSHIM_TASK_ABORTED, the policy's code when `mkfs.erofs` refuses the tar, ERR_STACKSHIM_SYSTEM.
 */
export async function buildErofs(
  tar: AsyncIterable<Buffer>,
  destination: string,
  options: BuildErofsOptions,
): Promise<void> {
  const command = toCommand(options);
  const folder = `${destination}.${randomBytes(6).toString('hex')}.build`;
  await guardDisk(`make an EROFS file ${destination}`, async () => {
    await mkdir(folder, { mode: 0o700 });
    try {
      if (isRoot()) await chown(folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
      const { invalidCode } = options.policy;
      await runMkfs(tar, { command, folder, invalidCode, signal: options.signal });
      const image = join(folder, IMAGE_NAME);
      await takeOver(image);
      await rename(image, destination);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

const isRoot = (): boolean => process.geteuid?.() === 0;

/** Every path is relative to the working directory, which is all of the disk that the unprivileged process must reach. */
function toCommand({ policy, compression }: BuildErofsOptions): readonly string[] {
  const command = [
    findProgram('mkfs.erofs', { package: 'erofs-utils' }),
    '--quiet',
    '--tar=f',
    ...(policy.whiteouts ? ['--aufs'] : []),
    ...(compression === 'lz4' ? ['-zlz4', '-C65536'] : ['-E^inline_data', '--sort=none']),
    // Without --mkfs-time the stamp would become the mtime of every file.
    ...['-T0', '--mkfs-time', '-U', FILESYSTEM_UUID, IMAGE_NAME],
  ];
  // A tar that ends early makes it write for ever: it must not outlive us. A bound on its time is for the moment before that holds.
  const prlimit = [findProgram('prlimit', { package: 'util-linux' }), `--cpu=${MAX_CPU_S}`];
  const ids = [`--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, '--clear-groups'];
  const setpriv = [
    findProgram('setpriv', { package: 'util-linux' }),
    ...(isRoot() ? ids : []),
    ...['--no-new-privs', '--pdeathsig', 'KILL', '--'],
  ];
  return [...prlimit, ...setpriv, ...command];
}

/** Makes the file ours and read-only. Its maker was unprivileged: a link in its place must lead nowhere. */
async function takeOver(path: string): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const image = await open(path, flags);
  try {
    const stat = await image.stat();
    if (!stat.isFile() || stat.nlink !== 1) {
      throw new StackshimError('ERR_STACKSHIM_SYSTEM', `take ${path}: not a plain file`);
    }
    if (isRoot()) await image.chown(0, 0);
    await image.chmod(0o444);
  } finally {
    await image.close();
  }
}
