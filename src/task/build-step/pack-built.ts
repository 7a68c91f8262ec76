/** Packs what a build step left in `/task` as one EROFS file. Loaded only when a build step runs. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { buildErofs } from '../../archive/build-erofs.ts';
import { cleanTar } from '../../archive/clean-tar.ts';
import { packLayer } from '../../archive/pack-layer.ts';
import { IDS_PER_SLOT } from '../../core/host-ids.ts';
import { BUILT_POLICY, toBuiltLimits } from '../../store/built/built-policy.ts';
import type { BuiltPart } from '../../store/built/built-record.ts';
import type { Fd } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import type { TaskPlaces } from '../records/task-places.ts';

/** The overlay's upper directory of the build's `/task`, held open: its path leads nowhere once the container has the mounts. */
export interface OpenedUpper {
  readonly fd: Fd;
  /** Host id of root in the build. */
  readonly idBase: number;
}

/** Opens the upper directory. Call it before the command runs, which may change the directory's owner. The caller closes the descriptor. */
export function openUpper({ scratchDir }: TaskPlaces): OpenedUpper {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const fd = openSync(`${scratchDir}/code/upper`, flags);
  try {
    return { fd, idBase: fstatSync(fd).uid };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

export interface PackBuiltOptions {
  readonly installation: Installation;
  /** The most bytes of all files together. */
  readonly diskBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Packs the upper directory into the file `destination`. Precondition: no process of the build is left. Rejects with
 * ERR_STACKSHIM_TASK_BUILD_FAILED for an entry that cannot be kept, ERR_STACKSHIM_LAYER_TOO_LARGE, and the errors of `buildErofs`.
 */
export async function packBuilt(
  { fd, idBase }: OpenedUpper,
  destination: string,
  { installation, diskBytes, signal }: PackBuiltOptions,
): Promise<BuiltPart> {
  const { system, layout } = installation;
  const workers = { system, layout };
  const limits = toBuiltLimits(diskBytes);
  const policy = BUILT_POLICY;
  // The program that reads the folder reaches it through this process's descriptor.
  const folder = `/proc/${process.pid}/fd/${fd}`;
  const tar = packLayer(folder, { idBase, idCount: IDS_PER_SLOT, limits, policy, signal });
  const clean = cleanTar(tar, { policy, limits, workers, compression: 'none', signal });
  const build = { policy, workers, compression: 'lz4', signal } as const;
  const { sha256, sizeBytes } = await buildErofs(clean.tar, destination, build);
  return { sha256, sizeBytes };
}
