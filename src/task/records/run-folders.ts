/** Finds the run folders whose tasks use this root folder: this installation's own, and others, recognized by their mounted layers. */
import { readFileSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import { isLayerId } from '../../core/ids.ts';
import { type Layout, layerFile, mountedLayerDir } from '../../core/layout.ts';
import { type MountEntry, readMountsWith } from '../../sys/mountinfo.ts';

/**
 * The layout itself, and one layout per other run folder. Does not find run folders that no task of this
 * boot has used, or those of other mount namespaces. Blocks; the cost grows with the number of mounts.
 */
export function findRunFolders(layout: Layout): readonly Layout[] {
  const runs = readMountsWith(' erofs ').flatMap((mount) => toRunFolder(layout, mount) ?? []);
  const others = new Set(runs.filter((run) => run !== layout.run));
  return [layout, ...[...others].map((run) => ({ ...layout, run }))];
}

/** The run folder where a layer of this root folder is mounted; undefined for any other mount. */
function toRunFolder(layout: Layout, { mountPoint, source }: MountEntry): string | undefined {
  const [, run, hex] = /^(.+)\/layers\/([^/]+)$/.exec(mountPoint) ?? [];
  if (run === undefined || hex === undefined || !isLayerId(hex)) return undefined;
  if (mountPoint !== mountedLayerDir({ ...layout, run }, hex)) return undefined;
  const [, device] = /^\/dev\/(loop\d+)$/.exec(source) ?? [];
  const backing = `/sys/block/${device}/loop/backing_file`;
  // Undefined: the layer was unmounted meanwhile.
  const file = device ? unlessMissing(() => readFileSync(backing, 'utf8').trim()) : source;
  return file === layerFile(layout, hex) ? run : undefined;
}
