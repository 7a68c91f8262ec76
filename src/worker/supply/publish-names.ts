/** Publishes what the names of stacks and code packages mean on this machine, so that clients without an installation can bind jobs to digests. */
import type { Stackshim } from '../../door/stackshim.ts';
import { codeKey, stackKey } from '../queue-store/catalogue-keys.ts';
import type { Catalogue, CatalogueEntry } from '../queue-store/queue-store.ts';

export interface PublishNamesOptions {
  readonly door: {
    readonly stacks: Pick<Stackshim['stacks'], 'list' | 'show'>;
    readonly code: Pick<Stackshim['code'], 'list' | 'resolve' | 'show'>;
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
   * Publishes what has changed on this machine since the last call, and what the store has lost. An entry of another machine with a newer
   * revision stays; a name that is no longer here is taken out if its entry is this worker's.
   *
   * What became current only because a job named its digest, maybe an old one, takes the place of no other entry.
   */
  async publish(): Promise<void> {
    const { catalogue } = this.#options;
    const current = await this.#read();
    const gone = [...this.#published.keys()].filter((key) => !current.has(key));
    const keys = [...current.keys(), ...gone];
    if (keys.length === 0) return;
    const stored = await catalogue.get(keys);
    const others = new Map(keys.map((key, at) => [key, stored[at]]));
    const changed = [...current].filter(
      ([key, { entry }]) =>
        others.get(key) === undefined || this.#published.get(key) !== JSON.stringify(entry),
    );
    const puts = new Map<string, CatalogueEntry | null>();
    const isOwn = (key: string, other: CatalogueEntry) =>
      JSON.stringify(other) === this.#published.get(key);
    for (const [key, { entry, isFirstPull }] of changed) {
      const other = others.get(key);
      const isNewer = other === undefined || (!isFirstPull && other.since <= entry.since);
      if (isNewer || isOwn(key, other)) puts.set(key, entry);
    }
    for (const key of gone) {
      const other = others.get(key);
      if (other !== undefined && isOwn(key, other)) puts.set(key, null);
    }
    if (puts.size > 0) await catalogue.put(puts);
    for (const [key, { entry }] of changed) this.#published.set(key, JSON.stringify(entry));
    for (const key of gone) this.#published.delete(key);
  }

  async #read(): Promise<ReadonlyMap<string, Current>> {
    const { stacks, code } = this.#options.door;
    const entries = new Map<string, Current>();
    // What cannot be read is not published; `verify` and `doctor` report it.
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
      const key = codeKey(tenant ?? undefined, name);
      entries.set(key, { entry: { ...entry, priority }, isFirstPull });
    }
    return entries;
  }
}

interface Current {
  readonly entry: CatalogueEntry;
  /** Whether it was the first of its name here and came from a registry by its digest, as a worker pulls it. */
  readonly isFirstPull: boolean;
}

const isPinned = (source: Awaited<ReturnType<Stackshim['stacks']['show']>>['source']): boolean =>
  source.kind === 'import' && /^docker:\/\/.*@sha256:/.test(source.reference);
