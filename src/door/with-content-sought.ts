/** Tasks that name an image by the digest of its content, which is not known after an import. */
import { StackshimError } from '../core/errors.ts';
import { type CallerStops, signalsOf } from '../task/ending/caller-stops.ts';
import type { Opener } from './open-stacks.ts';

/** Runs `look`; when it finds no stack, finds missing content digests and runs `look` again. Throws as `look`. */
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
