/** Versions of stored formats, which tell files of a newer stackshim from damaged files. */
import { StackshimError } from './errors.ts';
import { isObject } from './read-fields.ts';

export interface StoredFormat {
  /** The kind of file, for messages: `task record`. */
  readonly what: string;
  /** The newest version that this program reads. */
  readonly newest: number;
}

/** The version that a stored value states; undefined if it states none. */
export function versionOf(value: unknown): number | undefined {
  const version: unknown = isObject(value) ? Reflect.get(value, 'version') : undefined;
  return Number.isSafeInteger(version) ? (version as number) : undefined;
}

/** Throws ERR_STACKSHIM_FORMAT_NEWER for a version above `newest`. The value's reader reports all other faults. */
export function refuseNewer(path: string, value: unknown, { what, newest }: StoredFormat): void {
  const version = versionOf(value);
  if (version === undefined || version <= newest) return;
  const by = writerOf(value);
  const written = by === undefined ? '' : `, written by stackshim ${by}`;
  const message = `read ${what} ${path}: version ${version}${written}; stackshim ${PROGRAM_VERSION} reads up to version ${newest}`;
  throw new StackshimError('ERR_STACKSHIM_FORMAT_NEWER', message, {
    details: { path, version, newest, writtenBy: by },
    hint:
      by === undefined || by === PROGRAM_VERSION
        ? 'use the stackshim that wrote the file, or a newer one'
        : `use stackshim ${by} or a newer one`,
  });
}

const VERSION_TEXT = /^[0-9A-Za-z.+-]{1,64}$/;

function writerOf(value: unknown): string | undefined {
  const by: unknown = isObject(value) ? Reflect.get(value, 'writtenBy') : undefined;
  return typeof by === 'string' && VERSION_TEXT.test(by) ? by : undefined;
}

/** This build's version, as in package.json; stackshim writes it to its files. A constant: reading a file would cost every task. */
export const PROGRAM_VERSION = '0.1.0';
