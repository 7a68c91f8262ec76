/** Schemas for the used parts of OCI layout documents (image-spec: image-layout, manifest, config; docker's schema 2). */
import * as z from 'zod/mini';
import type { Compression } from '../../archive/read-archive.ts';
import { OCI_TYPES } from './oci-documents.ts';

export const MEDIA_TYPES = {
  index: [OCI_TYPES.index, 'application/vnd.docker.distribution.manifest.list.v2+json'],
  manifest: [OCI_TYPES.manifest, 'application/vnd.docker.distribution.manifest.v2+json'],
  config: [OCI_TYPES.config, 'application/vnd.docker.container.image.v1+json'],
} as const;

/** Compression of each layer media type. Other types are refused. */
export const LAYER_COMPRESSION: Readonly<Record<string, Compression>> = {
  [OCI_TYPES.layer]: 'none',
  [`${OCI_TYPES.layer}+gzip`]: 'gzip',
  [`${OCI_TYPES.layer}+zstd`]: 'zstd',
  'application/vnd.docker.image.rootfs.diff.tar': 'none',
  'application/vnd.docker.image.rootfs.diff.tar.gzip': 'gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd': 'zstd',
};

const MAX_LAYERS = 256;
const MAX_MANIFESTS = 1024;
const MAX_TEXTS = 4096;

const digest = z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/, 'not a sha256 digest'));
const size = z.int().check(z.gte(0));
const strings = z.record(z.string(), z.string());

const descriptorSchema = z.object({
  mediaType: z.string().check(z.maxLength(255)),
  digest,
  size,
  annotations: z.nullish(strings),
  platform: z.nullish(z.object({ os: z.string(), architecture: z.string() })),
});

export type Descriptor = z.infer<typeof descriptorSchema>;

export const layoutMarkerSchema = z.object({
  imageLayoutVersion: z.string().check(z.regex(/^1\./, 'not version 1')),
});

export const indexSchema = z.object({
  schemaVersion: z.literal(2),
  manifests: z.array(descriptorSchema).check(z.maxLength(MAX_MANIFESTS)),
});

export const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.optional(z.enum(MEDIA_TYPES.manifest)),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).check(z.minLength(1), z.maxLength(MAX_LAYERS)),
});

const texts = z.nullish(z.array(z.string()).check(z.maxLength(MAX_TEXTS)));

export const configSchema = z.object({
  architecture: z.string().check(z.minLength(1), z.maxLength(64)),
  os: z.literal('linux'),
  config: z.nullish(
    z.looseObject({
      Env: texts,
      Entrypoint: texts,
      Cmd: texts,
      WorkingDir: z.nullish(z.string()),
      User: z.nullish(z.string()),
      Labels: z.nullish(strings),
      StopSignal: z.nullish(z.string()),
    }),
  ),
  rootfs: z.object({
    type: z.literal('layers'),
    diff_ids: z.array(digest).check(z.maxLength(MAX_LAYERS)),
  }),
});

export type OciImageConfig = z.infer<typeof configSchema>;
