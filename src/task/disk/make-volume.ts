/** Makes a scratch volume: a sparse file with a filesystem, on a loop device, as a detached mount. */

import { fstatSync, ftruncateSync, linkSync, openSync, unlinkSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { attachLoopAside } from '../../sys/attach-loop.ts';
import { freeBytesAt } from '../../sys/files.ts';
import { findProgram } from '../../sys/find-program.ts';
import { codeOfComplaint, lastLine } from '../../sys/guard-disk.ts';
import { withFd, withSystemFd } from '../../sys/paths.ts';
import { runProgram } from '../../sys/run-program.ts';
import { PLAIN_ENVIRONMENT } from '../../sys/start-program.ts';
import { type DiskAmount, type Fd, MOUNT_ATTR, type System } from '../../sys/system.ts';
import { loopName } from './scratch-files.ts';
import { FRESH } from './volume-state.ts';

/** Less than mkfs writes to the smallest volume, and more than a full disk may still have free. */
const FULL_BELOW_BYTES = 256 * 1024;

/**
 * Makes a volume in a new file and returns its detached mount. The file must not exist; on failure, the caller
 * removes it. The kernel frees the loop device with the mount's last user. Rejects with ERR_STACKSHIM_TOOL_MISSING,
 * ERR_STACKSHIM_HOST_UNSUPPORTED (no loop device), ERR_STACKSHIM_DISK_FULL, _DISK_FAILED.
 */
export async function makeVolume(system: System, file: string, limit: DiskAmount): Promise<Fd> {
  const { fileBytes, mkfsArgs } = planVolume(limit);
  return await withFd(openSync(file, 'wx+', 0o600), async (fd) => {
    ftruncateSync(fd, fileBytes);
    await format(file, mkfsArgs);
    return await mountUnnamed(system, file, loopName(file, fstatSync(fd)));
  });
}

/**
 * Mounts the file through a temporary name: every user who can read the device's /sys sees the path by which
 * the file was opened. This name reveals nothing about the task, and is gone before the device exists.
 */
async function mountUnnamed(system: System, file: string, name: string): Promise<Fd> {
  linkSync(file, name);
  let fd: Fd;
  try {
    fd = openSync(name, 'r+');
  } finally {
    unlinkSync(name);
  }
  return await withFd(fd, () => mountFile(system, fd));
}

async function format(file: string, args: readonly string[]): Promise<void> {
  const mkfs = findProgram('mkfs.ext4', { package: 'e2fsprogs' });
  const { exitCode, output } = await runProgram({
    path: mkfs,
    args: [...args, '--', file],
    // The host's mke2fs.conf must not add features.
    env: { ...PLAIN_ENVIRONMENT, MKE2FS_CONFIG: '/dev/null' },
  });
  if (exitCode === 0) return;
  // Measure the disk: the half-written file still uses its space.
  if (freeBytesAt(file) < FULL_BELOW_BYTES) {
    const details = { file, stderr: output };
    const message = `format ${file}: no space left`;
    throw new StackshimError('ERR_STACKSHIM_DISK_FULL', message, { details });
  }
  const code = codeOfComplaint(output) ?? 'ERR_STACKSHIM_SYSTEM';
  const details = { file, code: exitCode, stderr: output };
  throw new StackshimError(code, `format ${file} with mkfs.ext4: ${lastLine(output)}`, { details });
}

async function mountFile(system: System, fd: Fd): Promise<Fd> {
  const device = await attachLoopAside(system, fd, {
    operation: 'limit disk space',
    otherwise: 'set disk.mechanism to sampling in the policy',
  });
  return await withFd(device.fd, async () => {
    const made = await withSystemFd(system, openContext(system, device.path), async (context) => {
      const isCreated = await system.fsConfigCreateAside(context);
      return isCreated ? mountContext(system, context) : undefined;
    });
    if (made !== undefined) return made;
    // The kernel refused: repeat in a new context to get the reason.
    return withSystemFd(system, openContext(system, device.path), (again) => {
      system.fsConfigCreate(again);
      return mountContext(system, again);
    });
  });
}

/** Opens a filesystem context; the caller closes it. */
function openContext(system: System, device: string): Fd {
  const context = system.fsOpen('ext4');
  try {
    system.fsConfigString(context, 'source', device);
    // Never write to a tampered or failing filesystem.
    system.fsConfigString(context, 'errors', 'remount-ro');
    system.fsConfigFlag(context, 'noinit_itable');
    system.fsConfigString(context, 'barrier', '0');
    return context;
  } catch (error) {
    system.close(context);
    throw error;
  }
}

const mountContext = (system: System, context: Fd) =>
  system.fsMount(context, MOUNT_ATTR.NODEV | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC);

const BLOCK_BYTES = 4096;
const INODE_BYTES = 256;
const INODES_PER_BLOCK = BLOCK_BYTES / INODE_BYTES;
const BLOCKS_PER_GROUP = 32_768;
/** Two bitmaps, and the rounding of the inode table. */
const GROUP_BLOCKS = 6;
/** Superblock, group descriptors, and a last group that is lost because it is too small to stand alone. */
const FIXED_BLOCKS = 64;
const GROUPS_PER_DESCRIPTOR_BLOCK = 128;
/** Copies of superblock and descriptors are in group 1 and in the powers of 3, 5 and 7. */
const DESCRIPTOR_COPIES = 16;
/** The kernel reserves one block in fifty, but at most this many. */
const MAX_RESERVED = 4096;
const RESERVED_ONE_IN = 49;

/** Only the features that a filesystem of a few minutes needs: no journal, no checksums, no resizing. */
const FEATURES = [
  'none',
  'dir_index',
  'dir_nlink',
  'ext_attr',
  'extent',
  'extra_isize',
  'filetype',
  'flex_bg',
  'huge_file',
  'large_file',
  'sparse_super',
  'uninit_bg',
];

/** The file's size for a limit, and the arguments of `mkfs.ext4`. Pure. */
function planVolume(limit: DiskAmount) {
  const inodes = limit.inodes + FRESH.inodes;
  const wanted = Math.ceil(limit.bytes / BLOCK_BYTES) + FRESH.blocks;
  const inodeBlocks = Math.ceil(inodes / INODES_PER_BLOCK);
  const reserved = Math.min(MAX_RESERVED, Math.ceil((wanted + inodeBlocks) / RESERVED_ONE_IN));
  const blocks = wanted + inodeBlocks + reserved + FIXED_BLOCKS;
  const groups = Math.ceil(blocks / BLOCKS_PER_GROUP) + 1;
  const descriptors = Math.ceil(groups / GROUPS_PER_DESCRIPTOR_BLOCK) * DESCRIPTOR_COPIES;
  const fileBytes = (blocks + groups * GROUP_BLOCKS + descriptors) * BLOCK_BYTES;
  const mkfsArgs = [
    ...['-q', '-F', '-m', '0', '-b', `${BLOCK_BYTES}`, '-I', `${INODE_BYTES}`],
    ...['-N', `${inodes}`, '-O', FEATURES.join(',')],
    // A sparse file reads as zeros, so neither mkfs nor, later, the kernel must write them.
    ...['-E', 'lazy_itable_init=1,assume_storage_prezeroed=1,nodiscard,root_owner=0:0'],
  ];
  return { fileBytes, mkfsArgs };
}
