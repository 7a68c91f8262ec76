/** Serves tasks that name an image by its content digest, which is unknown right after an import. */
import { seekingContent } from '../exchange/oci-image/seek-content.ts';
import { type CallerStops, signalsOf } from '../task/ending/caller-stops.ts';
import type { Opener } from './open-stacks.ts';

/** Runs `look`. If it finds no image with a digest, determines the missing content digests and runs `look` again. Throws like `look`. */
export async function withContentSought<T>(
  open: Opener,
  stops: CallerStops,
  look: () => Promise<T>,
): Promise<T> {
  const { layout, system } = open();
  const signal = AbortSignal.any([...signalsOf(stops)]);
  return await seekingContent(layout, look, { system, signal });
}
