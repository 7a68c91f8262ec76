/** Copies an image from a registry into an OCI layout. Reads the manifest and checks its sizes before fetching a layer. */
import * as z from 'zod/mini';
import { LAYER_LIMITS } from '../../archive/archive-limits.ts';
import { StackshimError } from '../../core/errors.ts';
import { type ImageDigest, isImageDigest } from '../../core/ids.ts';
import { openLayoutRoot, parseDocument, toInvalid } from '../oci-image/oci-blobs.ts';
import { toDigest } from '../oci-image/oci-documents.ts';
import {
  indexSchema,
  LAYER_COMPRESSION,
  MEDIA_TYPES,
  manifestSchema,
} from '../oci-image/oci-schemas.ts';
import { type OciImage, pickPlatform, readOciLayout } from '../oci-image/read-oci-layout.ts';
import { withinBytes } from './bound-folder.ts';
import { repositoryOf } from './image-reference.ts';
import {
  inspectRaw,
  registryFlags,
  runSkopeo,
  type SkopeoRun,
  USUAL_SILENCE_MS,
} from './run-skopeo.ts';

const PULLED_TAG = 'image';
/** Bound for all compressed layers of one image. */
const MAX_BYTES = 64 * 1024 ** 3;
const DOCUMENT_BYTES = 4 * 1024 * 1024;
/** For documents, and for disk blocks that files do not fill. */
const SLACK_BYTES = 16 * 1024 * 1024;

const typedSchema = z.object({
  mediaType: z.optional(z.string()),
  manifests: z.optional(z.unknown()),
  layers: z.optional(z.unknown()),
});

export interface PulledImage {
  /** The layout's folder; the image has the tag {@link PULLED_TAG}. */
  readonly directory: string;
  /** The registry's digests of the image: of the manifest, of its config, and of the index that led to it. */
  readonly digests: readonly ImageDigest[];
}

/**
 * Pulls the image into a layout below `run.work`. Throws ERR_STACKSHIM_REGISTRY_FAILED, ERR_STACKSHIM_IMAGE_INVALID, ERR_STACKSHIM_LAYER_TOO_LARGE,
 * ERR_STACKSHIM_DISK_FULL.
 */
export async function pullImage(name: string, run: SkopeoRun): Promise<PulledImage> {
  const { reference, digests, largestBytes, totalBytes } = await resolveManifest(name, run);
  const directory = `${run.work}/layout`;
  const copy = ['copy', ...registryFlags(run, 'src-'), reference];
  const { work, silenceMs = USUAL_SILENCE_MS, signal: given } = run;
  const maxBytes = totalBytes + SLACK_BYTES;
  const operation = `fetch ${reference}`;
  const bound = { folder: work, maxBytes, silenceMs, operation, signal: given };
  await withinBytes(bound, (signal) =>
    runSkopeo('fetch', [...copy, `oci:${directory}:${PULLED_TAG}`], {
      ...run,
      signal,
      fileBytesLimit: Math.max(largestBytes, DOCUMENT_BYTES),
    }),
  );
  return { directory, digests };
}

/** Reads the pulled layout. Skopeo writes an OCI manifest whatever the registry has: the registry's digests are other digests of the image. */
export async function readPulled({ directory, digests }: PulledImage): Promise<OciImage> {
  const read = await readOciLayout(await openLayoutRoot(directory), PULLED_TAG);
  return { ...read, otherDigests: [...read.otherDigests, ...digests] };
}

interface ResolvedManifest {
  /** Names the manifest by its digest, so that the checked manifest is the fetched one. */
  readonly reference: string;
  readonly digests: readonly ImageDigest[];
  readonly largestBytes: number;
  /** Bytes of the config and all layers. */
  readonly totalBytes: number;
}

async function resolveManifest(name: string, run: SkopeoRun): Promise<ResolvedManifest> {
  const repository = repositoryOf(name);
  let bytes = await inspectRaw(`docker://${name}`, run);
  let digest: string = toDigest(bytes);
  const asked = digest;
  const top = parseDocument(bytes, typedSchema, `manifest of ${name}`);
  if (top.manifests !== undefined && top.layers !== undefined) {
    throw toInvalid(`read manifest of ${name}: it is both a manifest and an index`);
  }
  if (isIndex(top)) {
    const index = parseDocument(bytes, indexSchema, `index of ${name}`);
    digest = pickPlatform(index, digest).digest;
    bytes = await inspectRaw(`docker://${repository}@${digest}`, run);
    const found = toDigest(bytes);
    if (found !== digest) {
      throw toInvalid(`read manifest of ${name}: its digest is ${found}, not ${digest}`);
    }
  }
  const manifest = parseDocument(bytes, manifestSchema, `manifest of ${name}`);
  const isKnown = (type: string) => Object.hasOwn(LAYER_COMPRESSION, type);
  const unsupported = manifest.layers.find(({ mediaType }) => !isKnown(mediaType));
  if (unsupported !== undefined) {
    const type = JSON.stringify(unsupported.mediaType.slice(0, 200));
    throw toInvalid(`read layer ${unsupported.digest} of ${name}: unknown media type ${type}`);
  }
  const sizes = [manifest.config, ...manifest.layers].map(({ size }) => size);
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0);
  const largestBytes = Math.max(...sizes);
  if (largestBytes > LAYER_LIMITS.bytes || totalBytes > MAX_BYTES) {
    const message = `read manifest of ${name}: its layers are too large: ${totalBytes} bytes in all, the largest ${largestBytes}`;
    const details = { totalBytes, largestBytes, maximum: LAYER_LIMITS.bytes };
    throw new StackshimError('ERR_STACKSHIM_LAYER_TOO_LARGE', message, { details });
  }
  const digests = [...new Set([asked, digest, manifest.config.digest])].filter(isImageDigest);
  const reference = `docker://${repository}@${digest}`;
  return { reference, digests, largestBytes, totalBytes };
}

const isIndex = ({ mediaType, manifests }: z.infer<typeof typedSchema>) =>
  mediaType === undefined
    ? manifests !== undefined
    : MEDIA_TYPES.index.some((type) => type === mediaType);
