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
  /** Provides an id for `mkfs.erofs`. */
  readonly workers: WorkerHost;
  /** `lz4` halves the disk space; `none` is faster, for an image that is used once. */
  readonly compression: 'lz4' | 'none';
  readonly signal?: AbortSignal | undefined;
}

/** Any fixed UUID will do: equal contents must give equal files. */
const FILESYSTEM_UUID = '73746163-6b73-4869-ad00-000000000000';
/** Compressing a layer of the largest size takes a few minutes. */
const MAX_CPU_S = 1_800;
const IMAGE_NAME = 'image.erofs';
/** An entry of 512 bytes in the tar becomes at most an inode, a name and a block of content. */
const MAX_GROWTH = 16;
const MIN_LIMIT_BYTES = 16 * 1024 * 1024;
/** The kernel decompresses an extent from its start. Unbounded, 64 KiB can hold 16 MiB of zeros, so that a read takes forty times as long. */
const LZ4 = ['-zlz4', '-C65536', '--max-extent-bytes=262144'];

/**
 * Makes `destination`, an EROFS file that only root can read, not synced yet. Equal tars give equal files. Works in a folder next to it. When the
 * promise settles, the folder and the processes that worked there are gone; on failure there is no `destination`. `mkfs.erofs` reads hostile
 * input: it has its own id and folder, and leaves nothing behind. Passes on errors of reading `tar`. Otherwise throws ERR_STACKSHIM_TOOL_MISSING,
 * ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_TASK_ABORTED, the policy's code if `mkfs.erofs` refuses the tar, or ERR_STACKSHIM_SYSTEM.
 */
export async function buildErofs(
  tar: AsyncIterable<Buffer>,
  destination: string,
  options: BuildErofsOptions,
): Promise<AdoptedFile> {
  const folder = `${destination}.${randomBytes(6).toString('hex')}.build`;
  return await guardDisk(`make an EROFS file ${destination}`, async () => {
    // Check first, so that the caller gets the error for a missing mkfs.erofs.
    const program = findProgram('mkfs.erofs', { package: 'erofs-utils' });
    const worker = await claimWorker(options.workers);
    const build = { ...options, program, folder, worker };
    let adopted: AdoptedFile;
    try {
      const tarBytes = await runMkfs(tar, await prepare(build), build);
      const maxBytes = Math.max(MIN_LIMIT_BYTES, tarBytes * MAX_GROWTH);
      adopted = await adoptFile(join(folder, IMAGE_NAME), destination, maxBytes);
    } catch (error) {
      // The caller gets the build's error. If the folder cannot be removed, it goes later, with the files of dead processes.
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

/** Makes the folder; resolves to the command that works there. */
async function prepare(build: Build): Promise<readonly string[]> {
  const { worker, folder } = build;
  try {
    const command = toCommand(build);
    await mkdir(folder, { mode: 0o700 });
    // The worker is not root: restore the mode that the umask may have narrowed.
    await chmod(folder, 0o700);
    if (worker.id !== undefined) await chown(folder, worker.id, worker.id);
    return command;
  } catch (error) {
    await worker.end();
    throw error;
  }
}

/** Uses paths relative to the working directory, the only part of the disk that the unprivileged process must reach. */
function toCommand({ program, worker, policy, compression }: Build): readonly string[] {
  const command = [
    program,
    '--quiet',
    '--tar=f',
    ...(policy.whiteouts ? ['--aufs'] : []),
    ...(compression === 'lz4' ? LZ4 : ['-E^inline_data', '--sort=none']),
    // Without --mkfs-time, every file's mtime would be the timestamp.
    ...['-T0', '--mkfs-time', '-U', FILESYSTEM_UUID, IMAGE_NAME],
  ];
  // If the tar ends early, mkfs.erofs writes forever: it must not outlive this process. The time limit covers the moment before that is in force.
  return [...toLimited(`--cpu=${MAX_CPU_S}`), ...toUnprivileged(worker), ...command];
}
