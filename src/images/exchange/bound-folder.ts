/** Ends work that fills a folder beyond a bound. Measures what the program really writes, not what it was asked to write. */
import { StackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { measureTree } from '../../sys/measure-tree.ts';

export interface FolderBound {
  readonly folder: string;
  readonly mostBytes: number;
  /** Of the error: `fetch docker://host/name`. */
  readonly operation: string;
  readonly signal?: AbortSignal | undefined;
}

/** Between two looks a fast disk takes some hundred megabytes. */
const LOOK_EVERY_MS = 100;

/**
 * Runs `work` with a signal that aborts with the caller's, and when the folder takes more. What `work` throws then is replaced by
 * ERR_STACKSHIM_LAYER_TOO_LARGE. Waits for `work` in any case.
 */
export async function withinBytes(
  { folder, mostBytes, operation, signal }: FolderBound,
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
      if (bytes > mostBytes) full.abort();
      await Promise.race([pause(LOOK_EVERY_MS), working.catch(() => undefined)]);
    }
  };
  try {
    await Promise.all([working, watch()]);
  } catch (error) {
    await working.catch(() => undefined);
    if (!full.signal.aborted) throw error;
    throw toTooLarge(operation, mostBytes, error);
  }
  // The last look may have been too early.
  const { bytes } = await measureTree(folder);
  if (bytes > mostBytes) throw toTooLarge(operation, mostBytes);
}

const toTooLarge = (operation: string, maximum: number, cause?: unknown) =>
  new StackshimError(
    'ERR_STACKSHIM_LAYER_TOO_LARGE',
    `${operation}: more than the ${maximum} bytes that its manifest announces`,
    { details: { maximum }, cause },
  );
