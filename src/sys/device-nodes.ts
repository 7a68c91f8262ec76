/** Makes device nodes by mknodat(2), whose number depends on the architecture, and packs and unpacks device numbers. */
import { invoke } from './invoke.ts';
import { type System, SystemError } from './system.ts';

const MKNODAT: Readonly<Record<string, number>> = { x64: 259, arm64: 33 };
const AT_FDCWD = -100;
const FILE_TYPES = { c: 0o020000, b: 0o060000 } as const;
const MODE = 0o600;
const ENOSYS = 38;

export const linuxDeviceNodes: Pick<System, 'makeDeviceNode'> = {
  makeDeviceNode(path, { type, major, minor }) {
    const number = MKNODAT[process.arch];
    if (number === undefined) throw new SystemError('mknodat', ENOSYS, 'ENOSYS', path);
    const as = { name: 'mknodat', subject: path };
    const device = toDeviceNumber(major, minor);
    invoke(as, 'syscall', number, AT_FDCWD, path, FILE_TYPES[type] | MODE, device);
  },
};

/** Packs a device number into 32 bits as the kernel does: the low byte of the minor, the major, the rest of the minor. */
const toDeviceNumber = (major: number, minor: number) =>
  ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;

/** Unpacks the device number of a file's status: makedev(3). */
export function toDeviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const low = rdev % 2 ** 32;
  const high = Math.floor(rdev / 2 ** 32);
  return {
    major: ((low >>> 8) & 0xfff) | (high & 0xffff_f000),
    minor: (low & 0xff) | ((low >>> 12) & 0xffff_ff00),
  };
}
