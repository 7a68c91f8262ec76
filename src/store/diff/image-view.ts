/** Shows single layers and whole images as trees without running anything, mounted read-only and, if the kernel can, detached. */
import { closeSync, constants, openSync } from 'node:fs';
import { StackshimError, unlessFailed } from '../../core/errors.ts';
import type { LayerId } from '../../core/ids.ts';
import { type Layout, layerFile } from '../../core/layout.ts';
import { fdPath } from '../../sys/paths.ts';
import { type Fd, MOUNT_ATTR, makeMount, type System } from '../../sys/system.ts';
import type { Image } from '../images/image.ts';
import { requireLayer } from '../layers/layer-record.ts';
import { mountLayer } from '../layers/mount-layer.ts';
import { openLayerFile } from '../layers/open-layer-file.ts';

interface ImageViews {
  /** Path of one layer's tree; whiteouts are character devices 0:0. */
  layer(id: LayerId): string;
  /** Path of the tree that a task with this image sees below its own writable layer. */
  image(image: Image): string;
  /** Closes the views; their paths are unusable afterwards. */
  close(): void;
}

/** Opens nothing yet: each layer is opened once, at its first use. Needs root. */
export function openImageViews(system: System, layout: Layout): ImageViews {
  const opened: Fd[] = [];
  const paths = new Map<LayerId, string>();
  const keep = (fd: Fd): string => {
    opened.push(fd);
    return fdPath(fd);
  };
  const layer = (id: LayerId): string => {
    const known = paths.get(id);
    if (known !== undefined) return known;
    requireLayer(layout, id);
    const path = keep(openLayerFile(system, layerFile(layout, id)).fd);
    paths.set(id, path);
    return path;
  };
  return {
    layer,
    image({ layers }) {
      const [only, ...more] = layers;
      if (only !== undefined && more.length === 0) return layer(only);
      return keep(openOverlay(system, layout, layers, layer));
    },
    close() {
      for (const fd of opened.splice(0).reverse()) system.close(fd);
    },
  };
}

/** @param layers Lowest first. */
function openOverlay(
  system: System,
  layout: Layout,
  layers: readonly LayerId[],
  layer: (id: LayerId) => string,
): Fd {
  const joined = unlessFailed(() => joinLayers(system, layers.map(layer)), REFUSED);
  if (joined !== undefined) return joined;
  // Before about Linux 6.15, overlayfs accepts only attached mounts.
  const attached = layers.map((id) => mountLayer(system, layout, id));
  const joinedLater = unlessFailed(() => joinLayers(system, attached), REFUSED);
  return joinedLater ?? joinInOneOption(system, attached);
}

const REFUSED = ['EINVAL'];

const joinLayers = (system: System, paths: readonly string[]): Fd =>
  openReadOnly(
    system,
    paths.toReversed().map((path) => ['lowerdir+', path]),
  );

/** Longest value that fsconfig(2) accepts. */
const VALUE_CHARS = 255;

/** Before Linux 6.5, overlayfs accepts lower layers only in one option. */
function joinInOneOption(system: System, paths: readonly string[]): Fd {
  const opened = paths.map((path) => openSync(path, constants.O_RDONLY | constants.O_DIRECTORY));
  try {
    const lowers = opened.toReversed().map(fdPath).join(':');
    if (lowers.length > VALUE_CHARS) {
      const message = `mount an image of ${paths.length} layers: too many for this kernel`;
      const hint = 'use a machine with Linux 6.5 or later';
      throw new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', message, { hint });
    }
    return openReadOnly(system, [['lowerdir', lowers]]);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

const openReadOnly = (system: System, lowers: readonly (readonly [string, string])[]): Fd =>
  makeMount(system, 'overlay', {
    settings: [...lowers, ['metacopy', 'off'], ['xino', 'off'], ['redirect_dir', 'nofollow']],
    attributes: MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV,
  });
