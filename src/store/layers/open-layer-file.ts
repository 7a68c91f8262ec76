/** Opens an EROFS file as a detached mount. */
import { constants, openSync } from 'node:fs';
import { errnoCodeOf, StackshimError, toStackshimError } from '../../core/errors.ts';
import { attachLoop } from '../../sys/attach-loop.ts';
import { needsLoopDevice } from '../../sys/linux-mounts.ts';
import { withFd } from '../../sys/paths.ts';
import { type Fd, MOUNT_ATTR, type System } from '../../sys/system.ts';
import { toCorruptLayer } from './layer-record.ts';

/** Errors for a damaged or foreign superblock; EUCLEAN is the kernel's EFSCORRUPTED. */
const CORRUPT = new Set(['EINVAL', 'EUCLEAN', 'EIO', 'EBADMSG', 'EOPNOTSUPP', 'EOVERFLOW']);

/**
 * Opens the file directly or, before Linux 6.12, through a loop device, which disappears with the detached read-only mount. The caller closes
 * the mount. Its setuid files have no effect on the host, where any user may find them; in a task the overlay decides.
 * Throws ERR_STACKSHIM_LAYER_CORRUPT for a file that is not valid EROFS, ERR_STACKSHIM_HOST_UNSUPPORTED for a kernel without EROFS, or
 * without the loop devices that it needs.
 */
export function openLayerFile(
  system: System,
  path: string,
): { readonly fd: Fd; readonly onLoopDevice: boolean } {
  try {
    return { fd: openErofs(system, path, path), onLoopDevice: false };
  } catch (error) {
    if (!needsLoopDevice(error)) throw error;
    return { fd: openOnLoopDevice(system, path), onLoopDevice: true };
  }
}

function openOnLoopDevice(system: System, path: string): Fd {
  return withFd(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW), (file) => {
    const why = { operation: `open ${path}`, otherwise: 'boot Linux 6.12 or later' };
    const device = attachLoop(system, file, why);
    return withFd(device.fd, () => openErofs(system, device.path, path));
  });
}

/** @param path The layer's file, for errors. */
function openErofs(system: System, source: string, path: string): Fd {
  let context: Fd;
  try {
    context = system.fsOpen('erofs');
  } catch (error) {
    const isUnknown = errnoCodeOf(error) === 'ENODEV';
    const code = isUnknown ? 'ERR_STACKSHIM_HOST_UNSUPPORTED' : 'ERR_STACKSHIM_SYSTEM';
    throw toStackshimError(error, code, 'open an EROFS file');
  }
  try {
    system.fsConfigString(context, 'source', source);
    system.fsConfigFlag(context, 'ro');
    system.fsConfigCreate(context);
    return system.fsMount(context, MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV);
  } catch (error) {
    const code = errnoCodeOf(error) ?? '';
    if (needsLoopDevice(error)) throw error;
    if (code === 'ENOENT') throw toCorruptLayer(path, 'missing', error);
    if (!CORRUPT.has(code)) throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `open ${path}`);
    const message = `open ${path}: not a valid EROFS file (${code})`;
    const details = { path, kernel: system.fsContextLog(context) };
    throw new StackshimError('ERR_STACKSHIM_LAYER_CORRUPT', message, { cause: error, details });
  } finally {
    system.close(context);
  }
}
