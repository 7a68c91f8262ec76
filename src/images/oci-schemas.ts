/** The documents of an OCI image layout, as far as they are used here (image-spec: image-layout, manifest, config; docker's schema 2). */
import { z } from 'zod';

export const MEDIA_TYPES = {
  index: [
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
  ],
  manifest: [
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v2+json',
  ],
  config: [
    'application/vnd.oci.image.config.v1+json',
    'application/vnd.docker.container.image.v1+json',
  ],
} as const;

/** How a layer of each media type is compressed. Any other type is refused. */
export const LAYER_COMPRESSION: Readonly<Record<string, 'none' | 'gzip'>> = {
  'application/vnd.oci.image.layer.v1.tar': 'none',
  'application/vnd.oci.image.layer.v1.tar+gzip': 'gzip',
  'application/vnd.docker.image.rootfs.diff.tar': 'none',
  'application/vnd.docker.image.rootfs.diff.tar.gzip': 'gzip',
};

const MOST_LAYERS = 256;
const MOST_MANIFESTS = 1024;
const MOST_TEXTS = 4096;

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'not a sha256 digest');

const descriptorSchema = z.object({
  mediaType: z.string().max(255),
  digest,
  size: z.int().min(0),
  annotations: z.record(z.string(), z.string()).nullish(),
  platform: z
    .object({ os: z.string(), architecture: z.string(), variant: z.string().optional() })
    .nullish(),
});

export type Descriptor = z.infer<typeof descriptorSchema>;

export const indexSchema = z.object({
  schemaVersion: z.literal(2),
  manifests: z.array(descriptorSchema).max(MOST_MANIFESTS),
});

export const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum(MEDIA_TYPES.manifest).optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).min(1).max(MOST_LAYERS),
});

const texts = z.array(z.string()).max(MOST_TEXTS).nullish();

export const configSchema = z.object({
  architecture: z.string().min(1).max(64),
  os: z.literal('linux'),
  config: z
    .object({
      Env: texts,
      Entrypoint: texts,
      Cmd: texts,
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
    })
    .nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(digest).max(MOST_LAYERS) }),
});

export type OciImageConfig = z.infer<typeof configSchema>;
