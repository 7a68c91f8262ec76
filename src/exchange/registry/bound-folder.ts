/** Stops work that fills a folder beyond a bound, or that no longer fills it. Measures what a program really writes, whatever it was told to write. */
import { StackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { measureTree } from '../../sys/measure-tree.ts';

export interface FolderBound {
  readonly folder: string;
  readonly maxBytes: number;
  /** For how long the folder may stay as it is before the other side counts as gone. */
  readonly silenceMs: number;
  /** The operation in the error: `fetch docker://host/name`. */
  readonly operation: string;
  readonly signal?: AbortSignal | undefined;
}

/** A fast disk takes some hundred megabytes between two looks. */
const LOOK_EVERY_MS = 100;

/**
 * Runs `work` with a signal that aborts when the caller's signal aborts, when the folder exceeds the bound, or when nothing comes for too long;
 * then ERR_STACKSHIM_LAYER_TOO_LARGE or ERR_STACKSHIM_REGISTRY_FAILED replaces the error of `work`. Waits for `work` in any case.
 */
export async function withinBytes(
  { folder, maxBytes, silenceMs, operation, signal }: FolderBound,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const [full, silent] = [new AbortController(), new AbortController()];
  const own = [full.signal, silent.signal];
  const signals = signal === undefined ? own : [...own, signal];
  let isOver = false;
  const working = work(AbortSignal.any(signals)).finally(() => {
    isOver = true;
  });
  const watch = async () => {
    let [seen, seenAt] = [-1, 0];
    while (!isOver) {
      const { bytes } = await measureTree(folder);
      if (bytes > maxBytes) full.abort();
      if (bytes !== seen) [seen, seenAt] = [bytes, performance.now()];
      else if (performance.now() - seenAt > silenceMs) silent.abort();
      await Promise.race([pause(LOOK_EVERY_MS), working.catch(() => undefined)]);
    }
  };
  try {
    await Promise.all([working, watch()]);
  } catch (error) {
    await working.catch(() => undefined);
    if (full.signal.aborted) throw toTooLarge(operation, maxBytes, error);
    if (silent.signal.aborted && signal?.aborted !== true) {
      const message = `${operation}: nothing came for ${Math.round(silenceMs / 1_000)} s`;
      throw new StackshimError('ERR_STACKSHIM_REGISTRY_FAILED', message);
    }
    throw error;
  }
  // The last look may have been too early.
  const { bytes } = await measureTree(folder);
  if (bytes > maxBytes) throw toTooLarge(operation, maxBytes);
}

const toTooLarge = (operation: string, maximum: number, cause?: unknown) =>
  new StackshimError(
    'ERR_STACKSHIM_LAYER_TOO_LARGE',
    `${operation}: more than the ${maximum} bytes that its manifest announces`,
    { details: { maximum }, cause },
  );
