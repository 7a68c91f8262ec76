/** Sources of stack and code package names: an installation on this machine, and the catalogue that workers publish. */
import { StackshimError } from '../../core/errors.ts';
import type { Stackshim } from '../../door/stackshim.ts';
import { splitReference } from '../job/reference.ts';
import { codeKey, stackKey } from '../queue-store/catalogue-keys.ts';
import type { Catalogue } from '../queue-store/queue-store.ts';
import type { NameSource } from './bind-job.ts';

/** Looks names up in an installation. Needs root. */
export const installationNames = (door: Pick<Stackshim, 'stacks' | 'code'>): NameSource => ({
  stack: (reference) =>
    unlessNotFound(async () => {
      const { content, image } = await door.stacks.show(reference);
      // Other machines may have the same content under another image digest.
      return content ?? image;
    }),
  code: (reference, tenant) =>
    unlessNotFound(async () => {
      const { image, settings } = await door.code.resolve(reference, { tenant });
      return { ...settings, digest: image.digest };
    }),
});

/** Looks names up in the catalogue. Knows current revisions only: a revision number has a meaning on one machine alone. */
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
