/** The progress of builds and imports, and how it is reported. */

export type BuildPhase =
  | 'rootfs'
  | 'base'
  | 'build'
  | 'fetch'
  | 'export'
  | 'import'
  | 'push'
  | 'smoke'
  | 'flip';

export type BuildProgress =
  /** A part of the work began. */
  | { readonly kind: 'step'; readonly step: BuildPhase; readonly text: string }
  /** A line that a program printed. */
  | { readonly kind: 'line'; readonly step: BuildPhase; readonly text: string }
  /** A message for the user; the work continues. */
  | { readonly kind: 'warning'; readonly step: BuildPhase; readonly text: string }
  /** Number of bytes of a layer's blob read so far. */
  | {
      readonly kind: 'layer';
      /** 1 for the lowest layer. */
      readonly layer: number;
      readonly layers: number;
      readonly doneBytes: number;
      readonly totalBytes: number;
      /** True if nothing is read, because a layer with this content is stored already. */
      readonly reused: boolean;
    };

/** Receives progress. A listener that throws does not affect the build. */
export type ProgressListener = (progress: BuildProgress) => void;

/** Passes chunks through and calls `tell` after each with the bytes so far. Throws the reason of an aborted `signal`. */
export async function* metered<T extends Uint8Array>(
  chunks: AsyncIterable<T>,
  signal: AbortSignal | undefined,
  tell: (doneBytes: number) => void,
): AsyncGenerator<T> {
  let doneBytes = 0;
  for await (const chunk of chunks) {
    signal?.throwIfAborted();
    yield chunk;
    doneBytes += chunk.length;
    tell(doneBytes);
  }
}

/** Passes progress to a listener; drops the listener's errors. */
export function toReporter<T = BuildProgress>(
  listener: ((progress: T) => void) | undefined,
): (progress: T) => void {
  if (listener === undefined) return () => undefined;
  let broken = false;
  return (progress) => {
    if (broken) return;
    try {
      listener(progress);
    } catch {
      // Never call a listener again after an error.
      broken = true;
    }
  };
}
