/** Where the names of stacks and code packages are looked up: an installation on this machine, and the catalogue that workers publish. */
import { StackshimError } from '../../core/errors.ts';
import type { Stackshim } from '../../door/stackshim.ts';
import { splitReference } from '../job/reference.ts';
import { codeKey, stackKey } from '../queue-store/catalogue-keys.ts';
import type { Catalogue } from '../queue-store/queue-store.ts';
import type { NameSource } from './bind-job.ts';

/** It needs root. */
export const installationNames = (door: Pick<Stackshim, 'stacks' | 'code'>): NameSource => ({
  stack: (reference) =>
    unlessNotFound(async () => {
      const { content, image } = await door.stacks.show(reference);
      // Other machines may know the content only.
      return content ?? image;
    }),
  code: (reference, tenant) =>
    unlessNotFound(async () => {
      const { image, settings } = await door.code.resolve(reference, { tenant });
      return { ...settings, digest: image.digest };
    }),
});

/** Knows current revisions only: numbers of revisions have a meaning on one machine alone. */
export const catalogueNames = (catalogue: Catalogue): NameSource => ({
  async stack(reference) {
    if (splitReference(reference).version !== undefined) return undefined;
    const [entry] = await catalogue.get([stackKey(reference)]);
    return entry?.digest;
  },
  async code(reference, tenant) {
    if (splitReference(reference).version !== undefined) return undefined;
    const [entry] = await catalogue.get([codeKey(tenant, reference)]);
    return entry;
  },
});

async function unlessNotFound<T>(find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find();
  } catch (error) {
    if (error instanceof StackshimError && error.kind === 'not_found') return undefined;
    throw error;
  }
}
