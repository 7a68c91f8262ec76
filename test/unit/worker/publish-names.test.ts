/** What a worker tells others about the names of its stacks and packages. */
import { beforeEach, expect, it } from 'vitest';
import type { Catalogue, CatalogueEntry } from '../../../src/worker/queue-store/queue-store.ts';
import { namePublisher } from '../../../src/worker/supply/publish-names.ts';

const digest = (byte: string) => `sha256:${byte.repeat(64)}`;
const [OLD, NEW] = [digest('1'), digest('2')];
const pin = (image: string) => `docker://registry.example.org/jobs/x@${image}`;

let entries: Map<string, CatalogueEntry>;
beforeEach(() => {
  entries = new Map();
});

interface Here {
  readonly image: string;
  readonly revision: number;
  readonly createdAt: string;
  readonly isPulled: boolean;
}

/** A machine with one stack and one package, both as `here` says. */
function publisherOf(here: () => Here): () => Promise<void> {
  const summary = (more: object) => ({ ...here(), ...more });
  const door = {
    stacks: {
      list: async () => [summary({ name: 'python', content: null })],
      show: async () => ({
        source: { kind: 'import', reference: here().isPulled ? pin(here().image) : './image.tar' },
      }),
    },
    code: {
      list: async () => [summary({ name: 'mailer', tenant: 'acme' })],
      resolve: async () => ({ image: { digest: here().image }, settings: {} }),
      show: async () => ({ source: { kind: here().isPulled ? 'pull' : 'add' } }),
    },
  } as unknown as Parameters<typeof namePublisher>[0];
  const catalogue: Catalogue = {
    put(given) {
      for (const [key, entry] of given) {
        if (entry === null) entries.delete(key);
        else entries.set(key, entry);
      }
      return Promise.resolve();
    },
    get: async (keys) => keys.map((key) => entries.get(key)),
    list: async () => entries,
  };
  return namePublisher(door, catalogue);
}

const published = () => ['stack/python', 'code/acme/mailer'].map((key) => entries.get(key)?.digest);
const made: Here = {
  image: NEW,
  revision: 7,
  createdAt: '2026-02-01T00:00:00.000Z',
  isPulled: false,
};

it('what a job made this machine pull takes the place of no other entry', async () => {
  await publisherOf(() => made)();
  const later = { image: OLD, revision: 1, createdAt: '2026-03-01T00:00:00.000Z', isPulled: true };
  await publisherOf(() => later)();
  expect(published()).toEqual([NEW, NEW]);
});

it('it is published where nobody has published the name', async () => {
  await publisherOf(() => ({ ...made, revision: 1, isPulled: true }))();
  expect(published()).toEqual([NEW, NEW]);
});

it('a newer revision that the operator pulled is published', async () => {
  await publisherOf(() => ({ ...made, image: OLD }))();
  await publisherOf(() => ({ ...made, isPulled: true }))();
  expect(published()).toEqual([NEW, NEW]);
});

it('a worker takes back what it published: the operator went back to an older revision', async () => {
  let here = made;
  const publisher = publisherOf(() => here);
  await publisher();
  here = { ...made, image: OLD, revision: 6, createdAt: '2026-01-01T00:00:00.000Z' };
  await publisher();
  expect(published()).toEqual([OLD, OLD]);
});

it('what the store has lost is published again; what another machine published later stays', async () => {
  const publisher = publisherOf(() => made);
  await publisher();
  entries.clear();
  await publisher();
  expect(published()).toEqual([NEW, NEW]);
  entries.set('stack/python', { digest: OLD, since: '2026-01-01T00:00:00.000Z' });
  await publisher();
  expect(published()).toEqual([OLD, NEW]);
});
