/** Reads files of an OCI layout in a folder or an archive. Blobs are found only by digest; digest and size are checked. */
import { type FileHandle, realpath, stat } from 'node:fs/promises';
import type * as z from 'zod/mini';
import { checkSafely } from '../../core/check-safely.ts';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import { isObject } from '../../core/read-fields.ts';
import { AmbiguousJson, parseStrictJson, refuseOtherCase } from '../../core/strict-json.ts';
import { openRegularFile } from '../../sys/open-regular-file.ts';
import { toAbsolute } from '../../sys/paths.ts';
import { readPieces } from '../file-pieces.ts';
import { toDigest } from './oci-documents.ts';
import type { Descriptor } from './oci-schemas.ts';

/** Largest manifest, index or config; registries have the same limit. */
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;

/** An open regular file; closed by whoever opened it. */
export interface OpenedFile {
  readonly size: number;
  /** The content from the start, in pieces. Call once. */
  chunks(): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

export interface OciLayoutRoot {
  /** The name for messages. */
  readonly name: string;
  /** Opens a file by its plain path in the layout. Throws ERR_STACKSHIM_IMAGE_INVALID. */
  openFile(path: string): Promise<OpenedFile>;
}

/** Opens a layout's folder. Throws ERR_STACKSHIM_INPUT_NOT_FOUND if it does not exist, ERR_STACKSHIM_IMAGE_INVALID if it is a file. */
export async function openLayoutRoot(directory: string): Promise<OciLayoutRoot> {
  try {
    const real = await realpath(toAbsolute(directory));
    if (!(await stat(real)).isDirectory()) {
      throw toInvalid(`open OCI layout ${directory}: it is a file, and oci: names a folder`, {
        hint: `for an archive write oci-archive:${directory}, or docker-archive:${directory} for what docker save has written`,
        details: { path: directory },
      });
    }
    return { name: directory, openFile: (path) => openBeneath(real, path) };
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    const message = `open OCI layout ${directory}: ${reasonOf(error)}`;
    const details = { path: directory };
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', message, { cause: error, details });
  }
}

/** Reads and checks the JSON document that a descriptor names. */
export async function readDocument<T>(
  root: OciLayoutRoot,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  schema: z.ZodMiniType<T>,
): Promise<T> {
  const subject = `blob ${descriptor.digest}`;
  if (descriptor.size > MAX_DOCUMENT_BYTES) throw toTooLarge(subject, descriptor.size);
  const bytes = await readWhole(await openBlob(root, descriptor), subject);
  const actual = toDigest(bytes);
  if (actual === descriptor.digest) return parseDocument(bytes, schema, subject);
  const details = { digest: descriptor.digest, actual };
  throw toInvalid(`read ${subject}: its content has the digest ${actual}`, { details });
}

/** Reads and checks a JSON file of the layout that no digest names. */
export async function readLayoutFile<T>(
  root: OciLayoutRoot,
  name: 'index.json' | 'oci-layout',
  schema: z.ZodMiniType<T>,
): Promise<T> {
  return parseDocument(await readWhole(await root.openFile(name), name), schema, name);
}

/** Opens the blob that a descriptor names; the caller closes it. Checks the size, not the digest. */
export async function openBlob(
  root: OciLayoutRoot,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
): Promise<OpenedFile> {
  // The schema accepts only sha256 with 64 hex digits, so the path has no separator and no "..".
  const file = await root.openFile(`blobs/sha256/${descriptor.digest.slice('sha256:'.length)}`);
  const { size } = file;
  if (size === descriptor.size) return file;
  await file.close();
  const { digest, size: expectedBytes } = descriptor;
  const details = { digest, expectedBytes, actualBytes: size };
  throw toInvalid(`read blob ${digest}: ${size} bytes, not ${expectedBytes}`, { details });
}

async function openBeneath(directory: string, name: string): Promise<OpenedFile> {
  const path = `${directory}/${name}`;
  let file: FileHandle | undefined;
  try {
    // A link below the layout could lead to a file outside of it.
    if ((await realpath(path)) !== path) throw new Error('leads through a symbolic link');
    const opened = await openRegularFile(path, { followLink: false });
    file = opened;
    const { size } = await opened.stat();
    return { size, chunks: () => readPieces(opened), close: () => opened.close() };
  } catch (error) {
    await file?.close();
    const details = { path };
    throw toInvalid(`open ${name} of OCI layout: ${reasonOf(error)}`, { cause: error, details });
  }
}

/** Reads a whole document up to the size bound, and closes the file. */
export async function readWhole(file: OpenedFile, subject: string): Promise<Uint8Array> {
  try {
    const { size } = file;
    if (size > MAX_DOCUMENT_BYTES) throw toTooLarge(subject, size);
    const pieces: Buffer[] = [];
    let filled = 0;
    for await (const piece of file.chunks()) {
      filled += piece.length;
      if (filled > size) throw toInvalid(`read ${subject}: it grew while it was read`);
      pieces.push(piece);
    }
    if (filled < size) throw toInvalid(`read ${subject}: it became shorter while it was read`);
    return Buffer.concat(pieces);
  } finally {
    await file.close();
  }
}

/** Parses and checks JSON. Refuses ambiguous keys: another program could read them differently, and fetch or unpack other content. */
export function parseDocument<T>(bytes: Uint8Array, schema: z.ZodMiniType<T>, subject: string): T {
  let value: unknown;
  try {
    value = parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    refuseOtherSpellings(schema, value);
  } catch (error) {
    const isAmbiguous = error instanceof AmbiguousJson;
    const reason = isAmbiguous ? error.message : `not JSON: ${reasonOf(error)}`;
    throw toInvalid(`read ${subject}: ${reason}`, { cause: error });
  }
  const parsed = checkSafely(() => schema.safeParse(value));
  if (parsed?.success) return parsed.data;
  const issue = parsed?.error.issues[0];
  const field = issue?.path.join('.') ?? 'document';
  throw toInvalid(`read ${subject}: ${field}: ${issue?.message ?? 'not valid'}`);
}

/**
 * Throws AmbiguousJson for keys that differ from the schema's keys only in case: Go programs, such as skopeo and docker, treat them as the same
 * keys. Keys that the schema does not name, such as labels, may have any spelling. Skips values that do not fit the schema, because the schema
 * refuses them.
 */
function refuseOtherSpellings(schema: z.core.$ZodType, value: unknown): void {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  switch (def.type) {
    case 'optional':
    case 'nullable':
      refuseOtherSpellings(def.innerType, value);
      return;
    case 'array':
      if (Array.isArray(value)) for (const one of value) refuseOtherSpellings(def.element, one);
      return;
    case 'object':
      if (!isObject(value)) return;
      refuseOtherCase(value, Object.keys(def.shape));
      for (const [key, one] of Object.entries(def.shape)) {
        refuseOtherSpellings(one, Reflect.get(value, key));
      }
      return;
    default:
  }
}

const toTooLarge = (subject: string, size: number) =>
  toInvalid(`read ${subject}: ${size} bytes, more than ${MAX_DOCUMENT_BYTES}`);

/** Makes the error for a layout that is malformed or does not match its digests. */
export function toInvalid(
  message: string,
  options: {
    readonly cause?: unknown;
    readonly details?: Record<string, unknown>;
    readonly hint?: string;
  } = {},
): StackshimError {
  return new StackshimError('ERR_STACKSHIM_IMAGE_INVALID', message, options);
}
