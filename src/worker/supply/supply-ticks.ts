/** What a worker does about stacks and code beside its jobs, again and again: publishes names, and pulls what is announced. */
import { repeatWork } from '../repeat-work.ts';
import { type PrefetchOptions, prefetchAnnounced } from './prefetch.ts';
import { NamePublisher, type PublishNamesOptions } from './publish-names.ts';

export interface SupplyTicksOptions extends PublishNamesOptions, PrefetchOptions {
  /** Whether there is a registry to pull from. */
  readonly hasRegistry: boolean;
}

const PUBLISH_MS = 30_000;
const PREFETCH_MS = 5_000;

/** Begins at once, and ends when the signal aborts. */
export function startSupplyTicks(options: SupplyTicksOptions): void {
  const { signal, warn, hasRegistry } = options;
  const publisher = new NamePublisher(options);
  repeatWork({
    ...{ operation: 'publish names of stacks and code', everyMs: PUBLISH_MS, signal, warn },
    work: () => publisher.publish(),
  });
  if (!hasRegistry) return;
  const done = new Set<string>();
  repeatWork({
    ...{ operation: 'prefetch stacks', everyMs: PREFETCH_MS, signal, warn },
    work: () => prefetchAnnounced(options, done),
  });
}
