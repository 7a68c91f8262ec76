/** Cleaners that filter or watch entries of code: one passes on a part of them, one reads a single file. */
import type { ArchiveCleaner } from '../archive/archive-cleaner.ts';
import { toInvalidArchive } from '../archive/archive-policy.ts';
import { parseEntryPath } from '../archive/entry-path.ts';
import { type ByteString, type TarEntry, toByteString } from '../archive/tar-entry.ts';
import { StackshimError } from '../core/errors.ts';
import { CODE_LIMITS, CODE_POLICY } from './code-policy.ts';

/** The path without `.`; undefined if the cleaner refuses it. */
function pathOf({ path }: TarEntry): ByteString | undefined {
  const parsed = parseEntryPath(path, CODE_LIMITS);
  return typeof parsed === 'string' ? undefined : parsed.path;
}

/**
 * Passes on only the files and folders that `only` names, with their content and the folders above them. `end` throws ERR_STACKSHIM_SPEC_INVALID
 * for a name that the code does not have.
 */
export function choosing(cleaner: ArchiveCleaner, only: readonly string[]): ArchiveCleaner {
  const wanted = only.map((file) => ({ file, path: toByteString(file) }));
  const missing = new Set(only);
  let isKept = false;
  const keeps = (entry: TarEntry): boolean => {
    const path = pathOf(entry);
    // The cleaner refuses such a name.
    if (path === undefined || path === '') return true;
    const inside = wanted.filter((one) => path === one.path || path.startsWith(`${one.path}/`));
    for (const { file } of inside) missing.delete(file);
    if (inside.length > 0) return true;
    return entry.kind === 'directory' && wanted.some((one) => one.path.startsWith(`${path}/`));
  };
  return {
    ...cleaner,
    entry(entry) {
      isKept = keeps(entry);
      if (isKept) cleaner.entry(entry);
    },
    data(chunk) {
      if (isKept) cleaner.data(chunk);
    },
    end() {
      const [value] = missing;
      if (value === undefined) return cleaner.end();
      const text = `buildFrom ${JSON.stringify(value)}: the code has no such file or folder`;
      throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, {
        hint: 'name files and folders relative to the code',
        details: { field: 'buildFrom', value },
      });
    },
  };
}

/** Also keeps one file's content, valid after `end` (undefined: no such file). Throws ERR_STACKSHIM_CODE_INVALID if it is no file or is too large. */
export function readingFile(
  cleaner: ArchiveCleaner,
  { path, maxBytes }: { readonly path: string; readonly maxBytes: number },
): ArchiveCleaner & { content(): Buffer | undefined } {
  let pieces: Buffer[] | undefined;
  let isInside = false;
  return {
    ...cleaner,
    entry(entry) {
      isInside = pathOf(entry) === path;
      if (isInside) {
        if (entry.kind !== 'file') throw toInvalidArchive(CODE_POLICY, 'is no plain file', path);
        if (entry.size > maxBytes) {
          throw toInvalidArchive(CODE_POLICY, `has more than ${maxBytes} bytes`, path);
        }
        pieces = [];
      }
      cleaner.entry(entry);
    },
    data(chunk) {
      if (isInside) pieces?.push(Buffer.from(chunk));
      cleaner.data(chunk);
    },
    content: () => (pieces === undefined ? undefined : Buffer.concat(pieces)),
  };
}
