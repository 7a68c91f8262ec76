/** Reads an archive of `docker save`: `manifest.json` names the config and the layers of each image. */
import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import type { Compression } from '../../archive/read-archive.ts';
import type { ImageDigest } from '../../core/ids.ts';
import { parseDocument, readWhole, toInvalid } from '../oci-image/oci-blobs.ts';
import { toDigest } from '../oci-image/oci-documents.ts';
import { configSchema } from '../oci-image/oci-schemas.ts';
import {
  diffIdsOf,
  type OciImage,
  type OciLayer,
  pickTagged,
  requireArchitecture,
  toImageConfig,
} from '../oci-image/read-oci-layout.ts';
import { type OpenArchive, toCompression } from './open-archive.ts';

const MAX_IMAGES = 1024;
const MAX_LAYERS = 256;
const path = z.string().check(z.minLength(1), z.maxLength(255));

const manifestSchema = z
  .array(
    z.object({
      Config: path,
      RepoTags: z.nullish(z.array(z.string())),
      Layers: z.array(path).check(z.minLength(1), z.maxLength(MAX_LAYERS)),
    }),
  )
  .check(z.maxLength(MAX_IMAGES));

/**
 * Reads the image tagged `tag`; without a tag, the archive must contain a single image. There is no OCI manifest, so the image's digest is that of
 * its config, which docker calls the image's id and which names every DiffID. Throws ERR_STACKSHIM_IMAGE_INVALID.
 */
export async function readDockerArchive(archive: OpenArchive, tag?: string): Promise<OciImage> {
  const bytes = await readWhole(await archive.openFile('manifest.json'), 'manifest.json');
  const images = parseDocument(bytes, manifestSchema, 'manifest.json');
  const tagsOf = ({ RepoTags }: (typeof images)[number]) => RepoTags ?? [];
  const entry = pickTagged(images, tagsOf, tag, { name: 'manifest.json' });
  const configBytes = await readWhole(await archive.openFile(toPlain(entry.Config)), entry.Config);
  const config = parseDocument(configBytes, configSchema, entry.Config);
  const digest = digestOf(configBytes, entry.Config);
  requireArchitecture(config, digest);
  const diffIds = diffIdsOf(config, entry.Layers.length);
  const paths = new Map<OciLayer, string>();
  for (const [index, layerPath] of entry.Layers.entries()) {
    const layer = await readLayer(archive, toPlain(layerPath), diffIds[index] ?? '');
    paths.set(layer, toPlain(layerPath));
  }
  return {
    digest,
    layers: [...paths.keys()],
    config: toImageConfig(config),
    architecture: config.architecture,
    otherDigests: [],
    openLayer: (layer) => archive.openFile(paths.get(layer) ?? ''),
  };
}

const toPlain = (text: string) => text.replace(/^(?:\.\/)+/, '');

/** Returns the digest of a config. If the file is named by a digest, the content must match. */
function digestOf(bytes: Uint8Array, name: string): ImageDigest {
  const digest = toDigest(bytes);
  const named = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(name)?.[1];
  if (named === undefined || digest === `sha256:${named}`) return digest;
  const details = { name, actual: digest.slice('sha256:'.length) };
  throw toInvalid(`read ${name}: its content is ${digest}`, { details });
}

/** Describes a layer. Docker writes plain tars and accepts compressed ones. Only the DiffID says what a layer must contain. */
async function readLayer(archive: OpenArchive, name: string, diffId: string): Promise<OciLayer> {
  const file = await archive.openFile(name);
  try {
    const hash = createHash('sha256');
    let compression: Compression | undefined;
    for await (const chunk of file.chunks()) {
      compression ??= toCompression(chunk);
      if (compression === 'none') return { digest: diffId, size: file.size, compression, diffId };
      hash.update(chunk);
    }
    const digest = `sha256:${hash.digest('hex')}`;
    return { digest, size: file.size, compression: compression ?? 'none', diffId };
  } finally {
    await file.close();
  }
}
