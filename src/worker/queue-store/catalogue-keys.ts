/** The keys of the catalogue that workers publish in the store. Pure. */

/** The key of a stack's current revision. */
export const stackKey = (name: string): string => `stack/${name}`;

/** The key of a code package's current revision. Without a tenant, the tenant's part is empty. */
export const codeKey = (tenant: string | undefined, name: string): string =>
  `code/${tenant ?? ''}/${name}`;

/** The prefix of all announcements. */
export const NEXT_PREFIX = 'next/';

/** The key of the stack revision that is announced to become current. */
export const nextKey = (name: string): string => `${NEXT_PREFIX}${name}`;
