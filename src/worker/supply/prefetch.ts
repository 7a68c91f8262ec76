/** Announces stacks that will become current, and pulls announced stacks before they do. */
import type { Stackshim } from '../../door/stackshim.ts';
import { NEXT_PREFIX, nextKey } from '../queue-store/catalogue-keys.ts';
import type { Catalogue } from '../queue-store/queue-store.ts';
import type { Repetition } from '../repeat-work.ts';
import type { Supply } from './fetch-missing.ts';

/** Older announcements are ignored. */
const ANNOUNCED_MS = 24 * 3_600_000;

/** Pulls images one after another, except those in `done`, pulled by earlier calls. Reports a failed pull; the next call retries it. */
export async function prefetchAnnounced(
  catalogue: Catalogue,
  supply: Supply,
  done: Set<string>,
  { signal, warn }: Repetition,
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

/** Announces that these stacks will become current, by digests that mean the same on every machine. */
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
