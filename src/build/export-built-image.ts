/** Exports an image from the builder's storage to an OCI layout, uncompressed and labelled with its epoch. No file is newer than the epoch. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import { LAYER_LIMITS } from '../archive/archive-limits.ts';
import { LAYER_POLICY } from '../archive/archive-policy.ts';
import { createTarParser } from '../archive/tar-parser.ts';
import { toInvalid } from '../exchange/oci-image/oci-blobs.ts';
import { type Image, STACK_LABELS } from '../store/images/image.ts';
import { readBoundedFile } from '../sys/files.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { type Builder, runBuildah } from './builder.ts';

export const BUILT_TAG = 'latest';

const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;
const descriptorSchema = z.looseObject({
  digest: z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/)),
  size: z.int().check(z.gte(0)),
});
const manifestSchema = z.looseObject({
  mediaType: z.string(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).check(z.minLength(1)),
});
const configSchema = z.looseObject({
  config: z.nullish(z.looseObject({ Labels: z.nullish(z.record(z.string(), z.string())) })),
});

export interface ExportOptions {
  /** The builder's id or name of the image. */
  readonly image: string;
  /** The image that `image` is based on. Times in its layers are kept. */
  readonly base: Image | undefined;
  /** Seconds since 1970. The build made all files of this time or later. */
  readonly startedAt: number;
  /** Seconds since 1970, if known: a base's epoch comes from its Debian archive. */
  readonly epoch: number | undefined;
}

/**
 * Resolves to the folder of an OCI layout below the builder's work folder, with the image tagged {@link BUILT_TAG}.
 *
 * Files that the build made get the image's epoch as their time, so that the time of the build does not matter. The epoch is the newest
 * time of the other files. Those keep their times, because compiled files depend on the times of their sources.
 */
export async function exportBuiltImage(builder: Builder, options: ExportOptions): Promise<string> {
  const pushed = `${builder.home.work}/pushed`;
  // `dir:` is the only destination for which buildah leaves layers uncompressed.
  const push = ['push', '--quiet', '--disable-compression'];
  const policy = ['--signature-policy', builder.home.signaturePolicy];
  await runBuildah(builder, 'export', [...push, ...policy, options.image, `dir:${pushed}`]);
  const manifest = readJson(`${pushed}/manifest.json`, manifestSchema);
  const config = readJson(`${pushed}/${hexOf(manifest.config.digest)}`, configSchema);
  const epoch = options.epoch ?? (await findEpoch(pushed, manifest.layers, options));
  const labels = { ...config.config?.Labels, [STACK_LABELS.epoch]: String(epoch) };
  const labelled = { ...config, config: { ...config.config, Labels: labels } };
  return await guardDisk('lay out the image that was built', async () => {
    const target = `${builder.home.work}/oci`;
    await mkdir(`${target}/blobs/sha256`, { recursive: true });
    for (const layer of new Set(manifest.layers.map((one) => hexOf(one.digest)))) {
      await rename(`${pushed}/${layer}`, `${target}/blobs/sha256/${layer}`);
    }
    const written = await writeDocument(target, labelled);
    const described = await writeDocument(target, {
      ...manifest,
      config: { ...manifest.config, ...written },
    });
    const annotations = { 'org.opencontainers.image.ref.name': BUILT_TAG };
    const entry = { mediaType: manifest.mediaType, ...described, annotations };
    await writeFile(
      `${target}/index.json`,
      JSON.stringify({ schemaVersion: 2, manifests: [entry] }),
    );
    await writeFile(`${target}/oci-layout`, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    return target;
  });
}

async function findEpoch(
  pushed: string,
  layers: readonly { readonly digest: string }[],
  { base, startedAt }: ExportOptions,
): Promise<number> {
  let newest = Number(base?.config.labels[STACK_LABELS.epoch] ?? 0);
  const known = new Set(base?.diffIds);
  for (const { digest } of layers) {
    // The digest of an uncompressed layer is its DiffID.
    if (known.has(digest)) continue;
    const parser = createTarParser(LAYER_POLICY, LAYER_LIMITS, {
      entry: ({ mtime: { seconds } }) => {
        if (seconds < startedAt) newest = Math.max(newest, seconds);
      },
      data: () => undefined,
    });
    const layer = createReadStream(`${pushed}/${hexOf(digest)}`, { highWaterMark: 1024 * 1024 });
    for await (const chunk of layer) parser.push(chunk);
    parser.end();
  }
  return newest;
}

function readJson<T>(path: string, schema: z.ZodMiniType<T>): T {
  const text = readBoundedFile(path, { maxBytes: MAX_DOCUMENT_BYTES });
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw toInvalid(`read ${path}: ${parsed.error.issues[0]?.message}`, { cause: parsed.error });
}

async function writeDocument(
  target: string,
  document: object,
): Promise<{ readonly digest: string; readonly size: number }> {
  const bytes = Buffer.from(JSON.stringify(document));
  const hex = createHash('sha256').update(bytes).digest('hex');
  await writeFile(`${target}/blobs/sha256/${hex}`, bytes);
  return { digest: `sha256:${hex}`, size: bytes.length };
}

const hexOf = (sha256: string) => sha256.slice('sha256:'.length);
