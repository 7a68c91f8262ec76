/** The keys of the catalogue that workers publish in the store. Pure. */

/** The current revision of a stack. */
export const stackKey = (name: string): string => `stack/${name}`;

/** The current revision of a code package; packages without a tenant have an empty one. */
export const codeKey = (tenant: string | undefined, name: string): string =>
  `code/${tenant ?? ''}/${name}`;

/** The prefix of all announcements. */
export const NEXT_PREFIX = 'next/';

/** The revision of a stack that is announced to become current. */
export const nextKey = (name: string): string => `${NEXT_PREFIX}${name}`;
