/** Stops work that fills a folder beyond a bound. Measures what a program really writes, whatever it was told to write. */
import { StackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { measureTree } from '../../sys/measure-tree.ts';

export interface FolderBound {
  readonly folder: string;
  readonly maxBytes: number;
  /** The operation in the error: `fetch docker://host/name`. */
  readonly operation: string;
  readonly signal?: AbortSignal | undefined;
}

/** A fast disk takes some hundred megabytes between two looks. */
const LOOK_EVERY_MS = 100;

/**
 * Runs `work` with a signal that aborts when the caller's signal aborts, or when the folder exceeds the bound; then
 * ERR_STACKSHIM_LAYER_TOO_LARGE replaces the error of `work`. Waits for `work` in any case.
 */
export async function withinBytes(
  { folder, maxBytes, operation, signal }: FolderBound,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const full = new AbortController();
  const signals = signal === undefined ? [full.signal] : [full.signal, signal];
  let isOver = false;
  const working = work(AbortSignal.any(signals)).finally(() => {
    isOver = true;
  });
  const watch = async () => {
    while (!isOver) {
      const { bytes } = await measureTree(folder);
      if (bytes > maxBytes) full.abort();
      await Promise.race([pause(LOOK_EVERY_MS), working.catch(() => undefined)]);
    }
  };
  try {
    await Promise.all([working, watch()]);
  } catch (error) {
    await working.catch(() => undefined);
    if (!full.signal.aborted) throw error;
    throw toTooLarge(operation, maxBytes, error);
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
