/** Serves tasks that name an image by its content digest, which is unknown right after an import. */
import { StackshimError } from '../core/errors.ts';
import { type CallerStops, signalsOf } from '../task/ending/caller-stops.ts';
import type { Opener } from './open-stacks.ts';

/** Runs `look` again if the first run found no image with a digest, and a content digest that is still unknown may match it. */
export async function withContentSought<T>(
  open: Opener,
  stops: CallerStops,
  look: () => Promise<T>,
): Promise<T> {
  try {
    return await look();
  } catch (error) {
    const isMissing =
      error instanceof StackshimError && error.code === 'ERR_STACKSHIM_STACK_NOT_FOUND';
    if (!isMissing) throw error;
    const { seekingContent } = await import('../exchange/oci-image/seek-content.ts');
    const { layout, system } = open();
    return await seekingContent(layout, look, {
      system,
      signal: AbortSignal.any([...signalsOf(stops)]),
    });
  }
}
