/** Pulls the stacks of an announced release before the release becomes current. */
import type { Stackshim } from '../../door/stackshim.ts';
import { NEXT_PREFIX, nextKey } from '../queue-store/catalogue-keys.ts';
import type { Catalogue } from '../queue-store/queue-store.ts';
import type { Supply } from './fetch-missing.ts';

/** Older announcements are ignored. */
const ANNOUNCED_MS = 24 * 3_600_000;

export interface PrefetchOptions {
  readonly catalogue: Catalogue;
  readonly supply: Pick<Supply, 'fetchStack'>;
  readonly signal: AbortSignal;
  readonly warn: (error: unknown, operation: string) => void;
}

/** Pulls one image after the other; a failed one is reported, and tried again by the next call. */
export async function prefetchAnnounced(
  { catalogue, supply, signal, warn }: PrefetchOptions,
  done: Set<string>,
): Promise<void> {
  const announced = await catalogue.list(NEXT_PREFIX);
  const references = new Set<string>();
  for (const [key, { digest, since }] of announced) {
    if (Date.now() - Date.parse(since) > ANNOUNCED_MS) continue;
    references.add(`${key.slice(NEXT_PREFIX.length)}@${digest}`);
  }
  for (const reference of done) if (!references.has(reference)) done.delete(reference);
  for (const reference of references) {
    if (done.has(reference) || signal.aborted) continue;
    try {
      await supply.fetchStack(reference, signal);
      done.add(reference);
    } catch (error) {
      if (!signal.aborted) warn(error, `prefetch stack ${reference}`);
    }
  }
}

/** Announces that these stacks will become current, by the digests that mean the same on every machine. */
export async function announceStacks(
  catalogue: Catalogue,
  stacks: Pick<Stackshim['stacks'], 'show'>,
  references: readonly string[],
): Promise<void> {
  const since = new Date().toISOString();
  const shown = await Promise.all(references.map((reference) => stacks.show(reference)));
  const entries = shown.map(
    ({ name, image, content }) => [nextKey(name), { digest: content ?? image, since }] as const,
  );
  await catalogue.put(new Map(entries));
}
