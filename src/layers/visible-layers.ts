/** Which layers of an image can be seen at all. */
import type { LayerRecord } from './layer-record.ts';

/**
 * The layers from the topmost one that declares its root opaque, lowest first as given.
 * Overlayfs does not look for that mark at a layer's root, so that an image must leave out what is hidden by it.
 */
export function visibleLayers(layers: readonly LayerRecord[]): readonly LayerRecord[] {
  const hiding = layers.findLastIndex((layer) => layer.opaqueRoot);
  return hiding <= 0 ? layers : layers.slice(hiding);
}
