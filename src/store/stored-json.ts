/**
 * Reads the small JSON files below the root folder: bounded, checked, undefined if absent. Also defines fields that several files share, and reads
 * folders of `<n>.json`. docs/on-disk-layout.md describes each file.
 */
import { readdirSync } from 'node:fs';
import type { ErrorCode } from '../core/error-codes.ts';
import {
  isUsedUp,
  messageOf,
  StackshimError,
  toStackshimError,
  unlessFailed,
  unlessMissing,
} from '../core/errors.ts';
import { refuseNewer } from '../core/format-version.ts';
import { type ImageDigest, isImageDigest, isStackName, type StackName } from '../core/ids.ts';
import {
  FieldFault,
  type FieldReaders,
  integer,
  isObject,
  objectOf,
  oneOf,
  type Reader,
  readWith,
  textThat,
  textUpTo,
} from '../core/read-fields.ts';
import { readBoundedFile } from '../sys/files.ts';

export interface StoredJsonOptions<T> {
  readonly reader: Reader<T>;
  /** Error code for a file that cannot be read or is not a valid `T`. */
  readonly code: ErrorCode;
  /** The kind of file, for messages: `revision file`. */
  readonly what: string;
  /** What to do about a damaged file. Default: the hint of the code. */
  readonly hint?: string;
  /** Newest format version that `reader` reads. Default 1. */
  readonly newest?: number;
}

const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Reads a file; undefined if it does not exist. Blocks: these files are small and read for every task. Throws ERR_STACKSHIM_FORMAT_NEWER for a file
 * that a newer stackshim wrote, ERR_STACKSHIM_SYSTEM if the process is out of a resource, otherwise `options.code`.
 */
export function readStoredJson<T>(path: string, options: StoredJsonOptions<T>): T | undefined {
  let text: string | undefined;
  try {
    text = unlessMissing(() => readBoundedFile(path, { maxBytes: MAX_BYTES }));
  } catch (error) {
    const what = `read ${options.what}`;
    if (isUsedUp(error)) throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', what);
    throw toCorrupt(path, messageOf(error), { ...options, cause: error });
  }
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw toCorrupt(path, 'not JSON', { ...options, cause: error });
  }
  refuseNewer(path, value, { what: options.what, newest: options.newest ?? 1 });
  return readWith(options.reader, value, ({ message }) => toCorrupt(path, message, options));
}

/** Like {@link readStoredJson}, for a file whose loss costs only time: a damaged file counts as absent. */
export const readStoredCache = <T>(path: string, options: StoredJsonOptions<T>): T | undefined =>
  unlessFailed(() => readStoredJson(path, options), [options.code]);

/** The error for a damaged stored file. */
export function toCorrupt(
  path: string,
  reason: string,
  options: Pick<StoredJsonOptions<unknown>, 'code' | 'what' | 'hint'> & {
    readonly cause?: unknown;
  },
): StackshimError {
  return new StackshimError(options.code, `read ${options.what} ${path}: ${reason}`, {
    details: { path },
    hint: options.hint,
    cause: options.cause,
  });
}

/** Returns the result of `read`; on a {@link StackshimError} calls `onDamage` and returns undefined. Other errors, and those of `onDamage`, pass. */
export function unlessDamaged<T>(
  read: () => T,
  onDamage: (error: StackshimError) => void,
): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    onDamage(error);
    return undefined;
  }
}

export const FORMAT_VERSION = 1;

const MAX_LINE_CHARS = 4096;
const MAX_NUMBER = 999_999_999;

export interface StoredVersion {
  readonly version: typeof FORMAT_VERSION;
}

export const version = oneOf(FORMAT_VERSION);

/** Makes a reader for a stored file: these fields, and the version, which the result leaves out. */
export function storedFields<T extends object>(fields: FieldReaders<T>): Reader<T> {
  const reader = objectOf(fields);
  return (value, field) => {
    if (!isObject(value)) throw new FieldFault(field, 'not an object');
    const { version: found, ...others }: { readonly version?: unknown } = value;
    version(found, 'version');
    return reader(others, field);
  };
}

/** The number of a revision or a generation. */
export const number = integer(1, MAX_NUMBER);
export const line = textUpTo(MAX_LINE_CHARS);
export const stackName = textThat<StackName>(isStackName, 'not a stack name');
export const imageDigest = textThat<ImageDigest>(isImageDigest, 'not an image digest');

const NUMBERED = /^([1-9][0-9]{0,8})\.json$/;

/** Numbers of the files in a folder, ascending; empty if the folder is missing. Ignores other names. */
export function readNumbers(directory: string): number[] {
  const numbers: number[] = [];
  for (const name of unlessMissing(() => readdirSync(directory)) ?? []) {
    const digits = NUMBERED.exec(name)?.[1];
    if (digits !== undefined) numbers.push(Number(digits));
  }
  return numbers.sort((a, b) => a - b);
}

/** One more than the largest used number, which skips numbers of interrupted changes. */
export const nextNumber = (numbers: readonly number[]): number => (numbers.at(-1) ?? 0) + 1;
