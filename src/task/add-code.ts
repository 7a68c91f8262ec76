/** Packs a task's code as a layer of its container. Loaded only for tasks with code. */
import type { LayerSource } from '../core/mount.ts';
import { packCode } from '../packages/pack-code.ts';
import { openLayerFile } from '../store/layers/open-layer-file.ts';
import type { Fd, System } from '../sys/system.ts';
import type { TaskDisk } from './disk/task-disk.ts';
import { requireStored } from './disk/volume-state.ts';
import type { PrepareContext } from './prepare-container.ts';
import type { TaskPlaces } from './records/task-places.ts';

/** Opens packed code as a detached mount. The caller closes it. */
export const openCode = (system: System, path: string): Fd => openLayerFile(system, path).fd;

/** Packs the code into the task's code file. Rejects with the packages' errors for unsuitable code. */
export async function addCode(
  code: string,
  places: TaskPlaces,
  disk: TaskDisk,
  { installation, signal }: Pick<PrepareContext, 'installation' | 'signal'>,
): Promise<LayerSource> {
  const { system, layout } = installation;
  await packCode(code, places.codeFile, {
    signal,
    followLinks: false,
    workers: { system, layout },
  });
  requireStored(layout, places, (await disk.measure()).bytes);
  return { kind: 'file', path: places.codeFile };
}
