/** Limits a folder's disk space: loop devices (loop(4)) and project quotas (quotactl_fd(2), ioctl_fs_fsxattr). */
import { closeSync, constants, openSync } from 'node:fs';
import { atMost } from '../core/pause.ts';
import { callAside, invoke, invokeUnless } from './invoke.ts';
import { type Fd, type LoopDevice, type System, SystemError } from './system.ts';

const LOOP_CTL_GET_FREE = 0x4c82;
const LOOP_CONFIGURE = 0x4c0a;
/** struct loop_config: descriptor, block size, struct loop_info64, reserved. */
const LOOP_CONFIG_BYTES = 304;
const LOOP_FLAGS_OFFSET = 60;
const LO_FLAGS_AUTOCLEAR = 4;
const LO_FLAGS_DIRECT_IO = 16;
const BLOCK_BYTES = 4096;
/** LOOP_CTL_GET_FREE reserves nothing, so other processes may take the same device. */
const LOOP_TRIES = 64;

const EXT4_IOC_SHUTDOWN = 0x8004_587d;
/** Discards everything unwritten, even the journal. */
const EXT4_GOING_FLAGS_NOLOGFLUSH = 2;

const FS_IOC_FSSETXATTR = 0x401c_5820;
const FSXATTR = { bytes: 28, project: 12 } as const;
const FS_XFLAG_PROJINHERIT = 0x200;

const SYS_QUOTACTL_FD = 443;
const PRJQUOTA = 2;
const quotaCommand = (command: number) => (command << 8) | PRJQUOTA;
const Q_GETQUOTA = 0x80_0007;
const Q_SETQUOTA = 0x80_0008;
const Q_XGETQSTAT = 0x5805;
/** struct if_dqblk: the offsets of its 64-bit fields. */
const DQBLK = { bytes: 72, blockLimit: 0, usedBytes: 16, inodeLimit: 24, inodes: 40, valid: 64 };
const DQBLK_BLOCK_BYTES = 1024n;
const QIF_LIMITS = 5;
/** struct fs_quota_stat: its flags, and the flag for enforced project limits. */
const QSTAT = { bytes: 128, flags: 2 } as const;
const FS_QUOTA_PDQ_ENFD = 0x20;

export const linuxDisks = {
  attachLoopDevice(fileFd) {
    for (const device of freeLoops()) {
      if (configureLoop(device.fd, fileFd)) return device;
      closeSync(device.fd);
    }
    throw noFreeLoop();
  },
  attachLoopDeviceAside: (fileFd) => attaching(() => attachAside(fileFd)),
  shutDownFilesystem(fd) {
    const flags = Buffer.alloc(4);
    flags.writeUInt32LE(EXT4_GOING_FLAGS_NOLOGFLUSH);
    invoke({ name: 'ioctl EXT4_IOC_SHUTDOWN' }, 'ioctl', fd, EXT4_IOC_SHUTDOWN, flags);
  },
  enforcesProjectQuota(fd) {
    const status = Buffer.alloc(QSTAT.bytes);
    // The kernel or the filesystem has no quotas.
    const none = ['ENOSYS', 'ESRCH', 'EINVAL', 'EOPNOTSUPP', 'ENOTBLK', 'ENODEV'];
    const as = { name: 'quotactl_fd' };
    const command = quotaCommand(Q_XGETQSTAT);
    const answer = invokeUnless(none, as, 'syscall', SYS_QUOTACTL_FD, fd, command, 0, status);
    return answer !== undefined && (status.readUInt16LE(QSTAT.flags) & FS_QUOTA_PDQ_ENFD) !== 0;
  },
  setProject(fd, project) {
    const attributes = Buffer.alloc(FSXATTR.bytes);
    attributes.writeUInt32LE(FS_XFLAG_PROJINHERIT, 0);
    attributes.writeUInt32LE(project, FSXATTR.project);
    const as = { name: 'ioctl FS_IOC_FSSETXATTR', subject: `project ${project}` };
    invoke(as, 'ioctl', fd, FS_IOC_FSSETXATTR, attributes);
  },
  limitProject(fd, project, { bytes, inodes }) {
    const quota = Buffer.alloc(DQBLK.bytes);
    const blocks = (BigInt(bytes) + DQBLK_BLOCK_BYTES - 1n) / DQBLK_BLOCK_BYTES;
    quota.writeBigUInt64LE(blocks, DQBLK.blockLimit);
    quota.writeBigUInt64LE(BigInt(inodes), DQBLK.inodeLimit);
    quota.writeUInt32LE(QIF_LIMITS, DQBLK.valid);
    const as = { name: 'quotactl_fd', subject: `set limit of project ${project}` };
    invoke(as, 'syscall', SYS_QUOTACTL_FD, fd, quotaCommand(Q_SETQUOTA), project, quota);
  },
  readProjectUsage(fd, project) {
    const quota = Buffer.alloc(DQBLK.bytes);
    const as = { name: 'quotactl_fd', subject: `read usage of project ${project}` };
    // XFS has no entry for a project that never owned anything: the zeros stay.
    const none = ['ENOENT', 'ESRCH'];
    const command = quotaCommand(Q_GETQUOTA);
    invokeUnless(none, as, 'syscall', SYS_QUOTACTL_FD, fd, command, project, quota);
    const read = (offset: number) => Number(quota.readBigUInt64LE(offset));
    return { bytes: read(DQBLK.usedBytes), inodes: read(DQBLK.inodes) };
  },
} satisfies Partial<System>;

/** One at a time: until a free device is configured, the kernel offers the same one to everybody. */
const attaching = atMost(1);

async function attachAside(fileFd: Fd): Promise<LoopDevice> {
  for (const device of freeLoops()) {
    const { fd } = device;
    const result = await callAside('ioctl', fd, LOOP_CONFIGURE, loopConfig(fileFd));
    // A pool call loses its errno: the second, synchronous call throws the reason.
    if (result === 0 || configureLoop(fd, fileFd)) return device;
    closeSync(fd);
  }
  throw noFreeLoop();
}

/** Opens free devices while the caller asks for more: another process may have taken each one meanwhile. */
function* freeLoops(): Generator<LoopDevice> {
  const control = openSync('/dev/loop-control', constants.O_RDWR);
  try {
    for (let tries = LOOP_TRIES; tries > 0; tries -= 1) {
      const name = 'ioctl LOOP_CTL_GET_FREE';
      const path = `/dev/loop${invoke({ name }, 'ioctl', control, LOOP_CTL_GET_FREE, 0)}`;
      yield { fd: openSync(path, constants.O_RDWR), path };
    }
  } finally {
    closeSync(control);
  }
}

const noFreeLoop = () =>
  new SystemError('ioctl LOOP_CONFIGURE', 16, 'EBUSY', 'every free device was taken');

function loopConfig(fileFd: Fd): Buffer {
  const config = Buffer.alloc(LOOP_CONFIG_BYTES);
  config.writeUInt32LE(fileFd, 0);
  config.writeUInt32LE(BLOCK_BYTES, 4);
  // Direct I/O: otherwise a task's writes would be cached, and charged to its memory limit, twice.
  config.writeUInt32LE(LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO, LOOP_FLAGS_OFFSET);
  return config;
}

/** False if another process took the device first. */
function configureLoop(deviceFd: Fd, fileFd: Fd): boolean {
  const as = { name: 'ioctl LOOP_CONFIGURE' };
  try {
    const config = loopConfig(fileFd);
    return invokeUnless(['EBUSY'], as, 'ioctl', deviceFd, LOOP_CONFIGURE, config) !== undefined;
  } catch (error) {
    closeSync(deviceFd);
    throw error;
  }
}
