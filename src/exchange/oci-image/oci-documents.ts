/** Writes an image as an OCI config (image-spec, config.md), which docker reads, too, and as an OCI manifest. */
import { createHash } from 'node:crypto';
import type { ImageDigest } from '../../core/ids.ts';
import { type Image, STACK_LABELS } from '../../store/images/image.ts';

/** First second of the year 10000, which RFC 3339 cannot represent. */
const MAX_EPOCH = 253_402_300_800;

/** The media types that stackshim writes. */
export const OCI_TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

/** Writes the config. The same image with the same DiffIDs gives the same text. */
export function toOciConfig(
  { config, architecture }: Pick<Image, 'config' | 'architecture'>,
  diffIds: readonly string[],
): string {
  const { env, entrypoint, cmd, workingDir, user, labels, stopSignal, other } = config;
  const epoch = Number(labels[STACK_LABELS.epoch] ?? 0);
  // The label may have any value.
  const isEpoch = Number.isSafeInteger(epoch) && epoch >= 0 && epoch < MAX_EPOCH;
  return JSON.stringify({
    created: new Date(isEpoch ? epoch * 1000 : 0).toISOString(),
    architecture,
    os: 'linux',
    config: {
      ...(user === '' ? {} : { User: user }),
      ...(env.length === 0 ? {} : { Env: env }),
      ...(entrypoint.length === 0 ? {} : { Entrypoint: entrypoint }),
      ...(cmd.length === 0 ? {} : { Cmd: cmd }),
      ...(workingDir === '' ? {} : { WorkingDir: workingDir }),
      ...(Object.keys(labels).length === 0 ? {} : { Labels: labels }),
      StopSignal: stopSignal,
      ...other,
    },
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: diffIds.map(() => ({ created_by: 'stackshim' })),
  });
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** Writes the manifest. Its digest is the image's content digest, so a change of the format would change every digest. */
export function toOciManifest(config: Blob, layers: readonly Blob[]): string {
  const describe = (mediaType: string, { digest, size }: Blob) => ({ mediaType, digest, size });
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_TYPES.manifest,
    config: describe(OCI_TYPES.config, config),
    layers: layers.map((layer) => describe(OCI_TYPES.layer, layer)),
  });
}

/** `sha256:<hex>` of a document. */
export const toDigest = (document: string | Uint8Array): ImageDigest =>
  `sha256:${createHash('sha256').update(document).digest('hex')}` as ImageDigest;
