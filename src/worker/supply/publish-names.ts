/** Publishes the digests of this machine's stack and code names, so that clients without an installation can bind jobs to digests. */
import type { Stackshim } from '../../door/stackshim.ts';
import { codeKey, stackKey } from '../queue-store/catalogue-keys.ts';
import type { Catalogue, CatalogueEntry } from '../queue-store/queue-store.ts';

/**
 * Returns a function that publishes what changed on this machine since its last call, and what the store has lost. Another machine's entry with a
 * newer revision stays. The entry of a name that is gone here is removed if this worker published it.
 *
 * A revision that is current only because a job named its digest, which may be old, replaces no other entry.
 */
export function namePublisher(
  door: Pick<Stackshim, 'stacks' | 'code'>,
  catalogue: Catalogue,
): () => Promise<void> {
  /** The entries that this worker has published, as text. */
  let published: ReadonlyMap<string, string> = new Map();
  return async () => {
    const current = await readCurrent(door);
    const gone = [...published.keys()].filter((key) => !current.has(key));
    const keys = [...current.keys(), ...gone];
    if (keys.length === 0) return;
    const stored = await catalogue.get(keys);
    const puts = new Map<string, CatalogueEntry | null>();
    for (const [at, key] of keys.entries()) {
      const other = stored[at];
      const now = current.get(key);
      const before = published.get(key);
      const isOwn = other !== undefined && JSON.stringify(other) === before;
      if (now === undefined) {
        if (isOwn) puts.set(key, null);
      } else if (other === undefined || before !== JSON.stringify(now.entry)) {
        const isNewer = other === undefined || (!now.isFirstPull && other.since <= now.entry.since);
        if (isNewer || isOwn) puts.set(key, now.entry);
      }
    }
    if (puts.size > 0) await catalogue.put(puts);
    published = new Map([...current].map(([key, { entry }]) => [key, JSON.stringify(entry)]));
  };
}

async function readCurrent({ stacks, code }: Pick<Stackshim, 'stacks' | 'code'>) {
  /** `isFirstPull`: the name's first revision here was pulled by its digest, as a worker pulls. */
  const entries = new Map<string, { entry: CatalogueEntry; isFirstPull: boolean }>();
  // Unreadable stacks and packages are not published; `verify` and `doctor` report them.
  const onDamage = () => undefined;
  for (const { name, image, content, createdAt, revision } of await stacks.list(onDamage)) {
    const isFirstPull = revision === 1 && isPinned((await stacks.show(name)).source);
    const entry = { digest: content ?? image, since: createdAt };
    entries.set(stackKey(name), { entry, isFirstPull });
  }
  for (const { name, tenant, createdAt, revision } of await code.list({ all: true, onDamage })) {
    const of = { tenant: tenant ?? undefined };
    const { image, settings } = await code.resolve(name, of);
    const isFirstPull = revision === 1 && (await code.show(name, of)).source.kind === 'pull';
    const { stack, retries, maxConcurrency, priority } = settings;
    const entry = { digest: image.digest, since: createdAt, stack, retries, maxConcurrency };
    entries.set(codeKey(of.tenant, name), { entry: { ...entry, priority }, isFirstPull });
  }
  return entries;
}

const isPinned = (source: Awaited<ReturnType<Stackshim['stacks']['show']>>['source']): boolean =>
  source.kind === 'import' && /^docker:\/\/.*@sha256:/.test(source.reference);
