/** Opens an EROFS file as a mount that is attached nowhere yet. */
import { errnoCodeOf, StackshimError, toStackshimError } from '../core/errors.ts';
import { needsLoopDevice } from '../sys/linux-mounts.ts';
import { type Fd, MOUNT_ATTR, type System } from '../sys/system.ts';
import { toCorruptLayer } from './layer-record.ts';

/** What a damaged or foreign superblock answers with; EUCLEAN is the kernel's EFSCORRUPTED. */
const CORRUPT = new Set(['EINVAL', 'EUCLEAN', 'EIO', 'EBADMSG', 'EOPNOTSUPP', 'EOVERFLOW']);

/**
 * A detached read-only mount of an EROFS file without a loop device; the caller closes it. Its setuid files give nothing on the host,
 * where any user may come upon them; in a task its overlay decides.
 * A kernel before 6.12 wants a block device and throws what `needsLoopDevice` knows: `loopMountLayer` is for those.
 * Throws ERR_STACKSHIM_LAYER_CORRUPT for a file that is no sound EROFS, ERR_STACKSHIM_HOST_UNSUPPORTED for a kernel without EROFS.
 */
export function openLayerFile(system: System, path: string): Fd {
  let context: Fd;
  try {
    context = system.fsOpen('erofs');
  } catch (error) {
    if (errnoCodeOf(error) === 'ENODEV') {
      throw toStackshimError(error, 'ERR_STACKSHIM_HOST_UNSUPPORTED', 'open an EROFS file');
    }
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'open an EROFS file');
  }
  try {
    system.fsConfigString(context, 'source', path);
    system.fsConfigFlag(context, 'ro');
    system.fsConfigCreate(context);
    return system.fsMount(context, MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV);
  } catch (error) {
    const code = errnoCodeOf(error) ?? '';
    if (needsLoopDevice(error)) throw error;
    if (code === 'ENOENT') throw toCorruptLayer(path, 'missing', error);
    if (!CORRUPT.has(code)) throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `open ${path}`);
    throw new StackshimError(
      'ERR_STACKSHIM_LAYER_CORRUPT',
      `open ${path}: not a sound EROFS file (${code})`,
      { cause: error, details: { path, kernel: system.fsContextLog(context) } },
    );
  } finally {
    system.close(context);
  }
}
