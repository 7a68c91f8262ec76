/** Makes a scratch volume: a sparse file, formatted, on a loop device, as a detached mount. */

import { closeSync, fstatSync, ftruncateSync, linkSync, openSync, unlinkSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { findProgram } from '../../layers/find-program.ts';
import { codeOfComplaint, lastLine } from '../../layers/guard-disk.ts';
import { attachLoopAside } from '../../sys/attach-loop.ts';
import { freeBytesAt } from '../../sys/files.ts';
import { PLAIN_ENVIRONMENT } from '../../sys/program-environment.ts';
import { runProgram } from '../../sys/run-program.ts';
import { type DiskAmount, type Fd, MOUNT_ATTR, type System } from '../../sys/system.ts';
import { loopName } from './loop-devices.ts';
import { planVolume } from './plan-volume.ts';

/** Less than what it writes to the smallest volume, and what a full disk may still have free. */
const LITTLE_BYTES = 256 * 1024;

/**
 * The file must not exist; on failure it is left for the caller to remove. The loop device goes with the last user of the mount.
 * Rejects with ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_HOST_UNSUPPORTED (no loop device), ERR_STACKSHIM_DISK_FULL, _DISK_FAILED.
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
 * The kernel tells everybody by which name the file of a loop device was opened, and whoever sees the device's /sys reads it: it is opened
 * by one that says nothing of the task, and that is gone before the device is there.
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
  const { exitCode, said } = await runProgram({
    path: mkfs,
    args: [...args, '--', file],
    // The host's own mke2fs.conf must not add features.
    env: { ...PLAIN_ENVIRONMENT, MKE2FS_CONFIG: '/dev/null' },
  });
  if (exitCode === 0) return;
  if (isFull(file)) {
    throw new StackshimError('ERR_STACKSHIM_DISK_FULL', `format ${file}: no space left`, {
      details: { file, stderr: said },
    });
  }
  throw new StackshimError(
    codeOfComplaint(said) ?? 'ERR_STACKSHIM_SYSTEM',
    `format ${file} with mkfs.ext4: ${lastLine(said)}`,
    { details: { file, code: exitCode, stderr: said } },
  );
}

/** Asked of the disk: what the program has written is still there. */
const isFull = (file: string): boolean => freeBytesAt(file) < LITTLE_BYTES;

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
    // Once more, for the error.
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

/** The caller closes it. */
function openContext(system: System, device: string): Fd {
  const context = system.fsOpen('ext4');
  try {
    system.fsConfigString(context, 'source', device);
    // A tampered or failing filesystem must not be written any further.
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
