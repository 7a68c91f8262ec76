/** Reads an OCI image layout: manifest, config and layers. Checks everything except the content of the layers. */
import type { Compression } from '../../archive/read-archive.ts';
import { type ImageDigest, isImageDigest } from '../../core/ids.ts';
import { type FieldFault, readWith } from '../../core/read-fields.ts';
import { type ImageConfig, otherSettings, toOtherSettings } from '../../store/images/image.ts';
import { readHostFacts } from '../../sys/host-facts.ts';
import {
  type OciLayoutRoot,
  type OpenedFile,
  openBlob,
  readDocument,
  readLayoutFile,
  toInvalid,
} from './oci-blobs.ts';
import {
  configSchema,
  type Descriptor,
  indexSchema,
  LAYER_COMPRESSION,
  layoutMarkerSchema,
  MEDIA_TYPES,
  manifestSchema,
  type OciImageConfig,
} from './oci-schemas.ts';

export interface OciLayer {
  /** Digest and size of the blob as stored in the layout. */
  readonly digest: string;
  readonly size: number;
  readonly compression: Compression;
  /** Digest of the uncompressed tar. */
  readonly diffId: string;
}

/** An image that is not stored here yet. */
export interface OciImage {
  /** Digest of the manifest, or of the config if there is no manifest. */
  readonly digest: ImageDigest;
  /** Lowest first. */
  readonly layers: readonly OciLayer[];
  readonly config: ImageConfig;
  readonly architecture: string;
  /** Other digests of the image: of its config, of the indexes that led to it, and of its manifest in the registry. */
  readonly otherDigests: readonly ImageDigest[];
  /** Opens a layer's blob. Checks the size, not the digest. */
  openLayer(layer: OciLayer): Promise<OpenedFile>;
}

const REF_NAME = 'org.opencontainers.image.ref.name';
const DEEPEST_INDEX = 3;
/** Errors quote text from the image, which may be long. */
const MAX_SHOWN = 50;
const MAX_SHOWN_CHARS = 200;

/**
 * Reads the image tagged `tag` from a layout; without a tag, the layout must contain a single image. From an index of several platforms, takes the
 * image for this machine. Throws ERR_STACKSHIM_IMAGE_INVALID.
 */
export async function readOciLayout(root: OciLayoutRoot, tag?: string): Promise<OciImage> {
  await readLayoutFile(root, 'oci-layout', layoutMarkerSchema);
  const index = await readLayoutFile(root, 'index.json', indexSchema);
  const tagsOf = ({ annotations }: Descriptor) => [annotations?.[REF_NAME] ?? null];
  const source = { name: `OCI layout ${root.name}`, details: { directory: root.name } };
  const tagged = pickTagged(index.manifests, tagsOf, tag, source);
  const way = await descend(root, tagged);
  const descriptor = way.at(-1) ?? tagged;
  const { digest } = descriptor;
  const manifest = await readDocument(root, descriptor, manifestSchema);
  if (!MEDIA_TYPES.config.some((type) => type === manifest.config.mediaType)) {
    const type = quote(manifest.config.mediaType);
    throw toInvalid(`read manifest ${digest}: config of unknown media type ${type}`);
  }
  const config = await readDocument(root, manifest.config, configSchema);
  requireArchitecture(config, digest);
  if (!isImageDigest(digest)) throw toInvalid(`read index.json: ${quote(digest)} is not a digest`);
  return {
    digest,
    layers: toLayers(manifest.layers, config),
    config: toImageConfig(config),
    architecture: config.architecture,
    otherDigests: [...way.slice(0, -1), manifest.config]
      .map((one) => one.digest)
      .filter(isImageDigest),
    openLayer: (layer) => openBlob(root, layer),
  };
}

/** Throws ERR_STACKSHIM_IMAGE_INVALID if the image is for another architecture. */
export function requireArchitecture(config: OciImageConfig, digest: string): void {
  const { architecture } = readHostFacts();
  if (config.architecture === architecture) return;
  throw toInvalid(
    `read image ${digest}: it is for ${config.architecture}, not for ${architecture}`,
  );
}

/**
 * Returns the image tagged `tag`; without a tag, the only image. `tagsOf` returns null for an image without a tag. Throws
 * ERR_STACKSHIM_IMAGE_INVALID with the existing tags.
 * @param source For example `manifest.json`.
 */
export function pickTagged<T>(
  images: readonly T[],
  tagsOf: (image: T) => readonly (string | null)[],
  tag: string | undefined,
  source: { readonly name: string; readonly details?: Readonly<Record<string, unknown>> },
): T {
  const matching =
    tag === undefined ? images : images.filter((image) => tagsOf(image).includes(tag));
  const [first, second] = matching;
  if (first !== undefined && second === undefined) return first;
  const named = tag === undefined ? 'images' : `images tagged ${quote(tag)}`;
  const tags = images
    .flatMap(tagsOf)
    .slice(0, MAX_SHOWN)
    .map((one) => one?.slice(0, MAX_SHOWN_CHARS) ?? null);
  const given = tags.filter((one) => one !== null).join(', ');
  throw toInvalid(`read ${source.name}: ${matching.length} ${named}, not 1`, {
    details: { ...source.details, tags },
    hint: given === '' ? 'no image in it has a tag' : `its tags: ${given}`,
  });
}

/** Follows indexes down to this platform's manifest, the last element of the result. */
async function descend(root: OciLayoutRoot, from: Descriptor): Promise<readonly Descriptor[]> {
  const way = [from];
  for (let at = from; !MEDIA_TYPES.manifest.some((type) => type === at.mediaType); ) {
    if (!MEDIA_TYPES.index.some((type) => type === at.mediaType)) {
      throw toInvalid(`read ${at.digest}: unknown media type ${quote(at.mediaType)}`);
    }
    if (way.length > DEEPEST_INDEX)
      throw toInvalid(`read ${at.digest}: indexes are nested too deeply`);
    const index = await readDocument(root, at, indexSchema);
    at = pickPlatform(index, at.digest);
    way.push(at);
  }
  return way;
}

/** Finds this machine's image in an index of several platforms. Throws ERR_STACKSHIM_IMAGE_INVALID if there is none. */
export function pickPlatform(
  index: { readonly manifests: readonly Descriptor[] },
  digest: string,
): Descriptor {
  const { architecture } = readHostFacts();
  const fitting = index.manifests.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  if (fitting !== undefined) return fitting;
  const platforms = index.manifests
    .slice(0, MAX_SHOWN)
    .map(({ platform }) => `${platform?.os}/${platform?.architecture}`.slice(0, MAX_SHOWN_CHARS));
  const message = `read index ${digest}: no image for linux/${architecture}`;
  throw toInvalid(message, { details: { platforms } });
}

/** Returns the DiffIDs of an image with `count` layers. Throws ERR_STACKSHIM_IMAGE_INVALID if the numbers differ. */
export function diffIdsOf({ rootfs }: OciImageConfig, count: number): readonly string[] {
  const { diff_ids: diffIds } = rootfs;
  if (diffIds.length === count) return diffIds;
  throw toInvalid(`read image: ${count} layers, but ${diffIds.length} DiffIDs`);
}

function toLayers(descriptors: readonly Descriptor[], config: OciImageConfig): OciLayer[] {
  const diffIds = diffIdsOf(config, descriptors.length);
  return descriptors.map(({ digest, size, mediaType }, index) => {
    const compression = Object.hasOwn(LAYER_COMPRESSION, mediaType)
      ? LAYER_COMPRESSION[mediaType]
      : undefined;
    const diffId = diffIds[index];
    if (compression === undefined || diffId === undefined) {
      throw toInvalid(`read layer ${digest}: unknown media type ${quote(mediaType)}`);
    }
    return { digest, size, compression, diffId };
  });
}

/** Returns the settings for tasks in an OCI config. Throws ERR_STACKSHIM_IMAGE_INVALID. */
export function toImageConfig({ config }: OciImageConfig): ImageConfig {
  const { Env, Entrypoint, Cmd, WorkingDir, User, Labels, StopSignal, ...unused } = config ?? {};
  const other = toOtherSettings(unused);
  return {
    env: Env ?? [],
    entrypoint: Entrypoint ?? [],
    cmd: Cmd ?? [],
    workingDir: WorkingDir ?? '',
    user: User ?? '',
    labels: Labels ?? {},
    ...(StopSignal == null || StopSignal === '' ? {} : { stopSignal: StopSignal }),
    ...(other === undefined ? {} : { other: readWith(otherSettings, other, toBadConfig) }),
  };
}

const toBadConfig = ({ message }: FieldFault) => toInvalid(`read image config: ${message}`);

const quote = (text: string) => JSON.stringify(text.slice(0, MAX_SHOWN_CHARS));
