/** Blobs of an OCI layout: found by digest only, opened beneath the layout, checked against digest and size. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import type * as z from 'zod/mini';
import { messageOf, StackshimError } from '../core/errors.ts';
import type { Descriptor } from './oci-schemas.ts';

/** Largest manifest, index or config; the same as registries allow. */
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;

export interface OciLayoutRoot {
  /** The layout's folder, every link resolved. */
  readonly directory: string;
}

/** Opens a layout's folder. Throws ERR_STACKSHIM_IMAGE_INVALID when there is none. */
export async function openLayoutRoot(directory: string): Promise<OciLayoutRoot> {
  try {
    return { directory: await realpath(directory) };
  } catch (error) {
    throw toInvalid(`open OCI layout ${directory}: ${messageOf(error)}`, { cause: error });
  }
}

/** Reads and checks a JSON document that a descriptor names. */
export async function readDocument<T>(
  root: OciLayoutRoot,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  schema: z.ZodMiniType<T>,
): Promise<T> {
  const subject = `blob ${descriptor.digest}`;
  if (descriptor.size > MAX_DOCUMENT_BYTES) throw toTooLarge(subject, descriptor.size);
  const bytes = await readWhole(await openBlob(root, descriptor), subject);
  const actual = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (actual !== descriptor.digest) {
    throw toInvalid(`read ${subject}: its content is ${actual}`, {
      details: { digest: descriptor.digest, actual },
    });
  }
  return parseDocument(bytes, schema, subject);
}

/** Reads and checks a JSON file of the layout that no digest names: `index.json`, `oci-layout`. */
export async function readLayoutFile<T>(
  root: OciLayoutRoot,
  name: 'index.json' | 'oci-layout',
  schema: z.ZodMiniType<T>,
): Promise<T> {
  const path = `${root.directory}/${name}`;
  return parseDocument(await readWhole(await openBeneath(root, path), name), schema, name);
}

/** Opens the blob that a descriptor names; whoever calls closes it. Its size is checked, its digest is not yet. */
export async function openBlob(
  root: OciLayoutRoot,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
): Promise<FileHandle> {
  // The schema has let through nothing but sha256 and 64 hex digits: no separator, no "..".
  const path = `${root.directory}/blobs/sha256/${descriptor.digest.slice('sha256:'.length)}`;
  const file = await openBeneath(root, path);
  const { size } = await file.stat();
  if (size === descriptor.size) return file;
  await file.close();
  throw toInvalid(`read blob ${descriptor.digest}: ${size} bytes, not ${descriptor.size}`, {
    details: { digest: descriptor.digest, expectedBytes: descriptor.size, actualBytes: size },
  });
}

async function openBeneath(root: OciLayoutRoot, path: string): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    // A link anywhere below the layout could show a file that is not part of it.
    if ((await realpath(path)) !== path) throw new Error('leads through a symbolic link');
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) throw new Error('not a regular file');
    return file;
  } catch (error) {
    await file?.close();
    const name = path.slice(root.directory.length + 1);
    throw toInvalid(`open ${name} of OCI layout: ${messageOf(error)}`, {
      cause: error,
      details: { path },
    });
  }
}

async function readWhole(file: FileHandle, subject: string): Promise<Uint8Array> {
  try {
    const { size } = await file.stat();
    if (size > MAX_DOCUMENT_BYTES) throw toTooLarge(subject, size);
    const bytes = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      const { bytesRead } = await file.read(bytes, filled, size - filled, filled);
      if (bytesRead === 0) throw toInvalid(`read ${subject}: it was cut while being read`);
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

function parseDocument<T>(bytes: Uint8Array, schema: z.ZodMiniType<T>, subject: string): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw toInvalid(`read ${subject}: not JSON: ${messageOf(error)}`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw toInvalid(`read ${subject}: ${issue?.path.join('.')}: ${issue?.message}`);
}

const toTooLarge = (subject: string, size: number) =>
  toInvalid(`read ${subject}: ${size} bytes, more than ${MAX_DOCUMENT_BYTES}`);

/** The error for a layout that is malformed or not what its digests say. */
export function toInvalid(
  message: string,
  options: { readonly cause?: unknown; readonly details?: Record<string, unknown> } = {},
): StackshimError {
  return new StackshimError('ERR_STACKSHIM_IMAGE_INVALID', message, options);
}
