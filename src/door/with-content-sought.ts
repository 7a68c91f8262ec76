/** Tasks that name an image by the digest of its content, which is not known after an import. */
import { seekingContent } from '../exchange/oci-image/seek-content.ts';
import { type CallerStops, signalsOf } from '../task/ending/caller-stops.ts';
import type { Opener } from './open-stacks.ts';

/** Runs `look`; when it finds no image by a digest, finds missing content digests and runs `look` again. Throws as `look`. */
export async function withContentSought<T>(
  open: Opener,
  stops: CallerStops,
  look: () => Promise<T>,
): Promise<T> {
  const { layout, system } = open();
  const signal = AbortSignal.any([...signalsOf(stops)]);
  return await seekingContent(layout, look, { system, signal });
}
