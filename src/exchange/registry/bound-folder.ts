/** Stops work that fills a folder beyond a bound or stops filling it. Measures what a program writes, not what it was told to write. */
import { StackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { measureTree } from '../../sys/measure-tree.ts';

export interface FolderBound {
  readonly folder: string;
  readonly maxBytes: number;
  /** The other side counts as gone after the folder stayed unchanged for this long. */
  readonly silenceMs: number;
  /** The operation in the error: `fetch docker://host/name`. */
  readonly operation: string;
  readonly signal?: AbortSignal | undefined;
}

/** A fast disk takes some hundred megabytes between two looks. */
const LOOK_EVERY_MS = 100;

/**
 * Runs `work` with a signal that aborts with the caller's signal, when the folder exceeds the bound, or when nothing arrives for too long. In the
 * last two cases, ERR_STACKSHIM_LAYER_TOO_LARGE or ERR_STACKSHIM_REGISTRY_FAILED replaces the error of `work`. Always waits for `work`.
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
