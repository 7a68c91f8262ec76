/** Where the names of stacks and code packages are looked up: an installation on this machine, and the catalogue that workers publish. */
import { StackshimError } from '../../core/errors.ts';
import type { LayoutOptions } from '../../core/layout.ts';
import { openStackshim } from '../../door/open-stackshim.ts';
import type { Catalogue } from '../queue-store/queue-store.ts';
import type { NameSource } from './bind-job.ts';

/** The installation that `options` name. It needs root. */
export function installationNames(options: LayoutOptions): NameSource {
  const { stacks } = openStackshim(options);
  return {
    stack: (reference) =>
      unlessNotFound(async () => {
        const { content, image } = await stacks.show(reference);
        // Other machines may know the content only.
        return content ?? image;
      }),
    code: async () => undefined,
  };
}

/** Knows current revisions only: numbers of revisions have a meaning on one machine alone. */
export const catalogueNames = (catalogue: Catalogue): NameSource => ({
  async stack(reference) {
    if (reference.includes('@')) return undefined;
    const [entry] = await catalogue.get([`stack/${reference}`]);
    return entry?.digest;
  },
  async code(reference, tenant = '') {
    const [name = ''] = reference.split('@', 1);
    const [entry] = await catalogue.get([`code/${tenant}/${name}`]);
    return entry === undefined || reference.includes('@') ? undefined : entry;
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
