/** A kernel port that behaves like a kernel before Linux 6.12: it mounts EROFS only from block devices. */
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { type System, SystemError } from '../../../src/sys/system.ts';

const ENOTBLK = 15;

export function makeOldKernel(): System {
  /** Filesystem contexts whose source is a file. */
  const refused = new Set<number>();
  let erofs: number | undefined;
  return {
    ...linuxSystem,
    fsOpen(filesystem) {
      const fd = linuxSystem.fsOpen(filesystem);
      refused.delete(fd);
      erofs = filesystem === 'erofs' ? fd : undefined;
      return fd;
    },
    fsConfigString(fd, key, value) {
      if (fd === erofs && key === 'source' && !value.startsWith('/dev/')) refused.add(fd);
      linuxSystem.fsConfigString(fd, key, value);
    },
    fsConfigCreate(fd) {
      if (refused.has(fd)) throw new SystemError('fsconfig', ENOTBLK, 'ENOTBLK', 'create');
      linuxSystem.fsConfigCreate(fd);
    },
  };
}
