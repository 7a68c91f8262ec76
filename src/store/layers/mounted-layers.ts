/** Finds out whether layers are mounted; every task asks this for each of its layers. */
import { statfsSync } from 'node:fs';
import { errnoCodeOf, toStackshimError } from '../../core/errors.ts';
import type { LayerId } from '../../core/ids.ts';
import { type Layout, mountedLayerDir } from '../../core/layout.ts';

/** EROFS_SUPER_MAGIC_V1 in linux/magic.h. */
const EROFS_MAGIC = 0xe0f5_e1e2;

/** One system call. Throws ERR_STACKSHIM_SYSTEM. */
export const isLayerMounted = (layout: Layout, id: LayerId): boolean =>
  isErofsMounted(mountedLayerDir(layout, id));

/** Whether an EROFS file is mounted at `target`. Throws ERR_STACKSHIM_SYSTEM. */
export function isErofsMounted(target: string): boolean {
  try {
    return statfsSync(target).type === EROFS_MAGIC;
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return false;
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `statfs ${target}`);
  }
}
