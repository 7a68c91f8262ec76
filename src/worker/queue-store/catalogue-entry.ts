/** Parses an entry of the catalogue from text in the store, which any writer to the store may have written. */
import { isImageDigest } from '../../core/ids.ts';
import {
  date,
  integer,
  isObject,
  objectOf,
  optional,
  parseJson,
  type Reader,
  textThat,
  textUpTo,
} from '../../core/read-fields.ts';
import type { CatalogueEntry } from './queue-store.ts';

const MAX_ENTRY_CHARS = 4096;

const readEntry: Reader<CatalogueEntry> = objectOf<CatalogueEntry>({
  digest: textThat(isImageDigest, 'not a digest'),
  since: date,
  stack: optional(textUpTo(200)),
  retries: optional(integer(0)),
  maxConcurrency: optional(integer(1)),
  priority: optional(integer(0)),
});

/** Undefined for text that is not an entry. Ignores fields that a newer worker added. */
export function parseCatalogueEntry(text: string): CatalogueEntry | undefined {
  const value = text.length <= MAX_ENTRY_CHARS ? parseJson(text) : undefined;
  if (!isObject(value)) return undefined;
  const { digest, since, stack, retries, maxConcurrency, priority } = value as CatalogueEntry;
  try {
    return readEntry({ digest, since, stack, retries, maxConcurrency, priority }, '');
  } catch {
    return undefined;
  }
}
