/** What a worker does about stacks and code beside its jobs, again and again: publishes names, and pulls what is announced. */

import { type PrefetchOptions, prefetchAnnounced } from './prefetch.ts';
import { NamePublisher, type PublishNamesOptions } from './publish-names.ts';

export interface SupplyTicksOptions extends PublishNamesOptions, PrefetchOptions {
  /** Whether there is a registry to pull from. */
  readonly hasRegistry: boolean;
}

const PUBLISH_MS = 30_000;
const PREFETCH_MS = 5_000;

/** Begins at once. A failure is reported and tried again. The returned function ends it. */
export function startSupplyTicks(options: SupplyTicksOptions): () => void {
  const publisher = new NamePublisher(options);
  const done = new Set<string>();
  const ends = [
    repeat(PUBLISH_MS, () => publisher.publish(), 'publish names of stacks and code'),
    ...(options.hasRegistry
      ? [repeat(PREFETCH_MS, () => prefetchAnnounced(options, done), 'prefetch stacks')]
      : []),
  ];
  return () => {
    for (const end of ends) end();
  };

  function repeat(ms: number, work: () => Promise<void>, operation: string): () => void {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const act = async () => {
      try {
        await work();
      } catch (error) {
        if (!options.signal.aborted) options.warn(error, operation);
      }
      if (isOver || options.signal.aborted) return;
      timer = setTimeout(() => void act(), ms);
      timer.unref();
    };
    void act();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }
}
