/** The run folders whose tasks stand on this root folder: one is ours, and others show by the layers that are mounted there. */
import { readFileSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import { isLayerId } from '../../core/ids.ts';
import { type Layout, layerFile, mountedLayerDir } from '../../core/layout.ts';
import { type MountEntry, readMountsWith } from '../../sys/mountinfo.ts';

/**
 * The layout itself, and one for each other run folder. One that no task of this boot has used yet, and those of other mount namespaces
 * are not seen. Blocks; its cost grows with the number of mounts.
 */
export function findRunFolders(layout: Layout): readonly Layout[] {
  const runs = readMountsWith(' erofs ').flatMap((mount) => toRunFolder(layout, mount) ?? []);
  const others = new Set(runs.filter((run) => run !== layout.run));
  return [layout, ...[...others].map((run) => ({ ...layout, run }))];
}

/** The run folder that has a layer of ours mounted there. */
function toRunFolder(layout: Layout, mount: MountEntry): string | undefined {
  const [, run, hex] = /^(.+)\/layers\/([^/]+)$/.exec(mount.mountPoint) ?? [];
  if (run === undefined || hex === undefined || !isLayerId(hex)) return undefined;
  if (mount.mountPoint !== mountedLayerDir({ ...layout, run }, hex)) return undefined;
  return readSource(mount) === layerFile(layout, hex) ? run : undefined;
}

/** The file that is mounted, also by way of a loop device. */
function readSource({ source }: MountEntry): string | undefined {
  const [, device] = /^\/dev\/(loop\d+)$/.exec(source) ?? [];
  if (device === undefined) return source;
  // Missing when it was unmounted since.
  return unlessMissing(() => readFileSync(`/sys/block/${device}/loop/backing_file`, 'utf8').trim());
}
