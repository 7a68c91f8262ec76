/** Makes an EROFS file of a clean tar: unprivileged, in a folder of its own, all or nothing. */
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, toStackshimError } from '../core/errors.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { type AdoptedFile, adoptFile } from './adopt-file.ts';
import type { ArchivePolicy } from './archive-policy.ts';
import {
  claimWorker,
  toLimited,
  toUnprivileged,
  type Worker,
  type WorkerHost,
} from './claim-worker.ts';
import { findProgram } from './find-program.ts';
import { codeOfComplaint, guardDisk } from './guard-disk.ts';
import { runMkfs } from './run-mkfs.ts';

export interface BuildErofsOptions {
  readonly policy: ArchivePolicy;
  /** Where it gets an id of its own. */
  readonly workers: WorkerHost;
  /** `lz4` halves the disk; `none` is quicker to make, for an image of one use. */
  readonly compression: 'lz4' | 'none';
  readonly signal?: AbortSignal | undefined;
}

/** Any fixed one will do: equal contents become equal files. */
const FILESYSTEM_UUID = '73746163-6b73-4869-ad00-000000000000';
/** Compressing the largest layer there may be takes a few minutes. */
const MAX_CPU_S = 1_800;
const IMAGE_NAME = 'image.erofs';
/** An entry of 512 bytes in the tar becomes an inode, a name and a block of content at most. */
const MOST_GROWTH = 16;
const LEAST_MOST_BYTES = 16 * 1024 * 1024;
/**
 * Reading a piece of a compressed extent, the kernel decompresses the extent from its start on. Without a bound 64 KiB hold up to
 * 16 MiB of zeros, and reading those takes forty times as long.
 */
const LZ4 = ['-zlz4', '-C65536', '--max-extent-bytes=262144'];

/**
 * Makes `destination`, an EROFS file that root alone can read, not synced yet; equal tars give equal files.
 * Works beside it in a folder that is gone when the promise settles, as are the processes that worked there; on failure there is no
 * `destination`. `mkfs.erofs` reads what strangers made: it has an id and a folder of its own, and nothing of it stays.
 * What reading `tar` throws is passed on. Otherwise: ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_DISK_FULL,
 * ERR_STACKSHIM_TASK_ABORTED, the policy's code when `mkfs.erofs` refuses the tar, ERR_STACKSHIM_SYSTEM.
 */
export async function buildErofs(
  tar: AsyncIterable<Buffer>,
  destination: string,
  options: BuildErofsOptions,
): Promise<AdoptedFile> {
  const folder = `${destination}.${randomBytes(6).toString('hex')}.build`;
  return await guardDisk(`make an EROFS file ${destination}`, async () => {
    // First, so that a missing mkfs.erofs is the error that the caller gets.
    const program = findProgram('mkfs.erofs', { package: 'erofs-utils' });
    const worker = await claimWorker(options.workers);
    const run = { folder, worker, invalidCode: options.policy.invalidCode, signal: options.signal };
    let adopted: AdoptedFile;
    try {
      const command = await prepare(folder, { ...options, program, worker });
      const tarBytes = await runMkfs(tar, { ...run, command });
      const mostBytes = Math.max(LEAST_MOST_BYTES, tarBytes * MOST_GROWTH);
      adopted = await adoptFile(join(folder, IMAGE_NAME), destination, mostBytes);
    } catch (error) {
      // The caller gets the error of the build. A folder that could not be removed goes later, with the files of dead processes.
      await removeTree(folder).catch(() => undefined);
      throw error;
    }
    await removeWork(folder);
    return adopted;
  });
}

async function removeWork(folder: string): Promise<void> {
  try {
    await removeTree(folder);
  } catch (error) {
    const code = codeOfComplaint(messageOf(error)) ?? 'ERR_STACKSHIM_SYSTEM';
    throw toStackshimError(error, code, `remove ${folder}`);
  }
}

interface Build extends BuildErofsOptions {
  /** Path of mkfs.erofs. */
  readonly program: string;
  readonly worker: Worker;
}

async function prepare(folder: string, build: Build): Promise<readonly string[]> {
  const { worker } = build;
  try {
    const command = toCommand(build);
    await mkdir(folder, { mode: 0o700 });
    // The worker is not root: it needs what the umask may have taken.
    await chmod(folder, 0o700);
    if (worker.id !== undefined) await chown(folder, worker.id, worker.id);
    return command;
  } catch (error) {
    await worker.end();
    throw error;
  }
}

/** Every path is relative to the working directory, which is all of the disk that the unprivileged process must reach. */
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
  // A tar that ends early makes it write for ever: it must not outlive us. A bound on its time is for the moment before that holds.
  return [...toLimited(`--cpu=${MAX_CPU_S}`), ...toUnprivileged(worker), ...command];
}
