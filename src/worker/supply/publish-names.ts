/** Publishes what the names of stacks and code packages mean on this machine, so that clients without an installation can bind jobs to digests. */
import type { Stackshim } from '../../door/stackshim.ts';
import { codeKey, stackKey } from '../queue-store/catalogue-keys.ts';
import type { Catalogue, CatalogueEntry } from '../queue-store/queue-store.ts';

export interface PublishNamesOptions {
  readonly door: {
    readonly stacks: Pick<Stackshim['stacks'], 'list'>;
    readonly code: Pick<Stackshim['code'], 'list' | 'resolve'>;
  };
  readonly catalogue: Catalogue;
}

export class NamePublisher {
  readonly #options: PublishNamesOptions;
  /** What this worker has published, as text. */
  readonly #published = new Map<string, string>();

  constructor(options: PublishNamesOptions) {
    this.#options = options;
  }

  /**
   * Publishes what has changed on this machine since the last call. An entry of another machine with a newer revision stays; a name that is no
   * longer here is taken out if its entry is this worker's.
   */
  async publish(): Promise<void> {
    const { catalogue } = this.#options;
    const current = await this.#read();
    const changed = [...current].filter(
      ([key, entry]) => this.#published.get(key) !== JSON.stringify(entry),
    );
    const gone = [...this.#published.keys()].filter((key) => !current.has(key));
    const keys = [...changed.map(([key]) => key), ...gone];
    if (keys.length === 0) return;
    const stored = await catalogue.get(keys);
    const others = new Map(keys.map((key, at) => [key, stored[at]]));
    const puts = new Map<string, CatalogueEntry | null>();
    for (const [key, entry] of changed) {
      const other = others.get(key);
      if (other === undefined || other.since <= entry.since) puts.set(key, entry);
    }
    for (const key of gone) {
      const other = others.get(key);
      if (other !== undefined && JSON.stringify(other) === this.#published.get(key)) {
        puts.set(key, null);
      }
    }
    await catalogue.put(puts);
    for (const [key, entry] of changed) this.#published.set(key, JSON.stringify(entry));
    for (const key of gone) this.#published.delete(key);
  }

  async #read(): Promise<ReadonlyMap<string, CatalogueEntry>> {
    const { stacks, code } = this.#options.door;
    const entries = new Map<string, CatalogueEntry>();
    // What cannot be read is not published; `verify` and `doctor` tell of it.
    const onDamage = () => undefined;
    for (const { name, image, content, createdAt } of await stacks.list(onDamage)) {
      entries.set(stackKey(name), { digest: content ?? image, since: createdAt });
    }
    for (const { name, tenant, createdAt } of await code.list({ all: true, onDamage })) {
      const { image, settings } = await code.resolve(name, { tenant: tenant ?? undefined });
      const { stack, retries, maxConcurrency, priority } = settings;
      const entry = { digest: image.digest, since: createdAt, stack, retries, maxConcurrency };
      entries.set(codeKey(tenant ?? undefined, name), { ...entry, priority });
    }
    return entries;
  }
}
