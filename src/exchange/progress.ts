/** What builds and imports tell while they work, and the one way they tell it. */

export type BuildStep =
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
  | { readonly kind: 'step'; readonly step: BuildStep; readonly text: string }
  /** A line that the builder printed. */
  | { readonly kind: 'line'; readonly step: BuildStep; readonly text: string }
  /** Something that the user should know, though the work goes on. */
  | { readonly kind: 'warning'; readonly step: BuildStep; readonly text: string }
  /** Bytes of a layer's blob that were read so far. */
  | {
      readonly kind: 'layer';
      /** 1 for the lowest. */
      readonly layer: number;
      readonly layers: number;
      readonly doneBytes: number;
      readonly totalBytes: number;
      /** Nothing to read: a layer with this content is stored already. */
      readonly reused: boolean;
    };

/** A listener that throws ends the build no more than one that is absent. */
export type ProgressListener = (progress: BuildProgress) => void;

/** Hands progress to a listener; what the listener throws is its own affair and is dropped here. */
export function toReporter(listener: ProgressListener | undefined): ProgressListener {
  if (listener === undefined) return () => undefined;
  let broken = false;
  return (progress) => {
    if (broken) return;
    try {
      listener(progress);
    } catch {
      // A listener that threw once is not called again: the work it watches must not depend on it.
      broken = true;
    }
  };
}
