/** Makes an EROFS file from a clean tar: unprivileged, in its own folder, all or nothing. */
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, toStackshimError } from '../core/errors.ts';
import { findProgram } from '../sys/find-program.ts';
import { codeOfComplaint, guardDisk } from '../sys/guard-disk.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { type AdoptedFile, adoptFile } from './adopt-file.ts';
import type { ArchivePolicy } from './archive-policy.ts';
import { claimWorker, toLimited, toUnprivileged, type WorkerHost } from './claim-worker.ts';
import { type MkfsRun, runMkfs } from './run-mkfs.ts';

export interface BuildErofsOptions {
  readonly policy: ArchivePolicy;
  /** Where `mkfs.erofs` gets its own id. */
  readonly workers: WorkerHost;
  /** `lz4` halves the disk space; `none` is faster, for an image that is used once. */
  readonly compression: 'lz4' | 'none';
  readonly signal?: AbortSignal | undefined;
}

/** Any fixed UUID will do: equal contents must become equal files. */
const FILESYSTEM_UUID = '73746163-6b73-4869-ad00-000000000000';
/** Compressing a layer of the largest allowed size takes a few minutes. */
const MAX_CPU_S = 1_800;
const IMAGE_NAME = 'image.erofs';
/** An entry of 512 bytes in the tar becomes at most an inode, a name and a block of content. */
const MAX_GROWTH = 16;
const MIN_LIMIT_BYTES = 16 * 1024 * 1024;
/**
 * To read a part of a compressed extent, the kernel decompresses the extent from its start. Without a bound, 64 KiB hold up to
 * 16 MiB of zeros, which take forty times as long to read.
 */
const LZ4 = ['-zlz4', '-C65536', '--max-extent-bytes=262144'];

/**
 * Makes `destination`, an EROFS file that only root can read, not synced yet; equal tars give equal files.
 * Works in a folder beside it. The folder is gone when the promise settles, and so are the processes that worked there; on failure there is no
 * `destination`. `mkfs.erofs` reads strangers' input: it has its own id and folder, and nothing of it stays.
 * Errors of reading `tar` are passed on. Otherwise: ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_DISK_FULL,
 * ERR_STACKSHIM_TASK_ABORTED, the policy's code when `mkfs.erofs` refuses the tar, ERR_STACKSHIM_SYSTEM.
 */
export async function buildErofs(
  tar: AsyncIterable<Buffer>,
  destination: string,
  options: BuildErofsOptions,
): Promise<AdoptedFile> {
  const folder = `${destination}.${randomBytes(6).toString('hex')}.build`;
  return await guardDisk(`make an EROFS file ${destination}`, async () => {
    // Look first, so that the caller gets the error of a missing mkfs.erofs.
    const program = findProgram('mkfs.erofs', { package: 'erofs-utils' });
    const worker = await claimWorker(options.workers);
    const build = { ...options, program, folder, worker };
    let adopted: AdoptedFile;
    try {
      const tarBytes = await runMkfs(tar, await prepare(build), build);
      const maxBytes = Math.max(MIN_LIMIT_BYTES, tarBytes * MAX_GROWTH);
      adopted = await adoptFile(join(folder, IMAGE_NAME), destination, maxBytes);
    } catch (error) {
      // The caller gets the error of the build. A folder that could not be removed is removed later, with the files of dead processes.
      await removeTree(folder).catch(() => undefined);
      throw error;
    }
    await removeTree(folder).catch((error: unknown) => {
      const code = codeOfComplaint(messageOf(error)) ?? 'ERR_STACKSHIM_SYSTEM';
      throw toStackshimError(error, code, `remove ${folder}`);
    });
    return adopted;
  });
}

interface Build extends BuildErofsOptions, MkfsRun {
  /** Path of mkfs.erofs. */
  readonly program: string;
}

/** Makes the folder. Resolves to the command that works there. */
async function prepare(build: Build): Promise<readonly string[]> {
  const { worker, folder } = build;
  try {
    const command = toCommand(build);
    await mkdir(folder, { mode: 0o700 });
    // The worker is not root: restore the modes that the umask may have restricted.
    await chmod(folder, 0o700);
    if (worker.id !== undefined) await chown(folder, worker.id, worker.id);
    return command;
  } catch (error) {
    await worker.end();
    throw error;
  }
}

/** Every path is relative to the working directory, which is all that the unprivileged process needs to reach of the disk. */
function toCommand({ program, worker, policy, compression }: Build): readonly string[] {
  const command = [
    program,
    '--quiet',
    '--tar=f',
    ...(policy.whiteouts ? ['--aufs'] : []),
    ...(compression === 'lz4' ? LZ4 : ['-E^inline_data', '--sort=none']),
    // Without --mkfs-time the stamp would become the mtime of every file.
    ...['-T0', '--mkfs-time', '-U', FILESYSTEM_UUID, IMAGE_NAME],
  ];
  // With a tar that ends early mkfs.erofs writes for ever: it must not outlive us. A time limit covers the moment before that holds.
  return [...toLimited(`--cpu=${MAX_CPU_S}`), ...toUnprivileged(worker), ...command];
}
