/** Makes a scratch volume: a sparse file with a filesystem, on a loop device, as a detached mount. */

import { closeSync, fstatSync, ftruncateSync, linkSync, openSync, unlinkSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { attachLoopAside } from '../../sys/attach-loop.ts';
import { freeBytesAt } from '../../sys/files.ts';
import { findProgram } from '../../sys/find-program.ts';
import { codeOfComplaint, lastLine } from '../../sys/guard-disk.ts';
import { runProgram } from '../../sys/run-program.ts';
import { PLAIN_ENVIRONMENT } from '../../sys/start-program.ts';
import { type DiskAmount, type Fd, MOUNT_ATTR, type System } from '../../sys/system.ts';
import { planVolume } from './plan-volume.ts';
import { loopName } from './scratch-files.ts';

/** Less than mkfs writes to the smallest volume, and more than a full disk may still have free. */
const FULL_BELOW_BYTES = 256 * 1024;

/**
 * Makes a volume in a new file and returns its detached mount. The file must not exist; on failure the caller removes it. The loop device is
 * freed when the mount has no user any more. Rejects with ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_HOST_UNSUPPORTED (no loop device),
 * ERR_STACKSHIM_DISK_FULL, _DISK_FAILED.
 */
export async function makeVolume(system: System, file: string, limit: DiskAmount): Promise<Fd> {
  const { fileBytes, mkfsArgs } = planVolume(limit);
  const fd = openSync(file, 'wx+', 0o600);
  try {
    ftruncateSync(fd, fileBytes);
    await format(file, mkfsArgs);
    return await mountUnnamed(system, file, loopName(file, fstatSync(fd)));
  } finally {
    closeSync(fd);
  }
}

/**
 * Mounts the file under a temporary name: everybody who can read the device's /sys sees the path by which its file was opened. The temporary
 * name reveals nothing about the task, and is gone before the device exists.
 */
async function mountUnnamed(system: System, file: string, name: string): Promise<Fd> {
  linkSync(file, name);
  let fd: Fd;
  try {
    fd = openSync(name, 'r+');
  } finally {
    unlinkSync(name);
  }
  try {
    return await mountFile(system, fd);
  } finally {
    closeSync(fd);
  }
}

async function format(file: string, args: readonly string[]): Promise<void> {
  const mkfs = findProgram('mkfs.ext4', { package: 'e2fsprogs' });
  const { exitCode, output } = await runProgram({
    path: mkfs,
    args: [...args, '--', file],
    // The host's own mke2fs.conf must not add features.
    env: { ...PLAIN_ENVIRONMENT, MKE2FS_CONFIG: '/dev/null' },
  });
  if (exitCode === 0) return;
  if (isFull(file)) {
    throw new StackshimError('ERR_STACKSHIM_DISK_FULL', `format ${file}: no space left`, {
      details: { file, stderr: output },
    });
  }
  throw new StackshimError(
    codeOfComplaint(output) ?? 'ERR_STACKSHIM_SYSTEM',
    `format ${file} with mkfs.ext4: ${lastLine(output)}`,
    { details: { file, code: exitCode, stderr: output } },
  );
}

/** Asks the disk, because what the program has written is still there. */
const isFull = (file: string): boolean => freeBytesAt(file) < FULL_BELOW_BYTES;

async function mountFile(system: System, fd: Fd): Promise<Fd> {
  const device = await attachLoopAside(system, fd, {
    operation: 'limit disk space',
    otherwise: 'set disk.mechanism to sampling in the policy',
  });
  try {
    const context = openContext(system, device.path);
    try {
      if (await system.fsConfigCreateAside(context)) return mountContext(system, context);
    } finally {
      system.close(context);
    }
    // Try again, this time for the error.
    const again = openContext(system, device.path);
    try {
      system.fsConfigCreate(again);
      return mountContext(system, again);
    } finally {
      system.close(again);
    }
  } finally {
    closeSync(device.fd);
  }
}

/** Opens a filesystem context; the caller closes it. */
function openContext(system: System, device: string): Fd {
  const context = system.fsOpen('ext4');
  try {
    system.fsConfigString(context, 'source', device);
    // A tampered or failing filesystem must not be written to any more.
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
