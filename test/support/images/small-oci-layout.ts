/** Writes OCI image layouts for tests: sound ones, or unsound ones by changing any document. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { readHostFacts } from '../../../src/sys/host-facts.ts';

export interface SmallImage {
  /** Uncompressed tars, lowest first. */
  readonly layers: readonly Buffer[];
  readonly env?: readonly string[];
  readonly cmd?: readonly string[];
  readonly user?: string;
  readonly workingDir?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Config fields by their OCI names; they override the others. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface BlobDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';
export const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

export const sha256 = (data: Uint8Array | string) =>
  `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** Stores a blob under its digest and describes it. */
export async function writeBlob(
  directory: string,
  mediaType: string,
  data: Uint8Array | string,
): Promise<BlobDescriptor> {
  const digest = sha256(data);
  await mkdir(`${directory}/blobs/sha256`, { recursive: true });
  await writeFile(`${directory}/blobs/sha256/${digest.slice(7)}`, data);
  return { mediaType, digest, size: Buffer.byteLength(data) };
}

/** Writes `index.json` and `oci-layout`; the manifest is tagged `latest`. */
export async function writeIndex(directory: string, manifest: object): Promise<void> {
  await mkdir(directory, { recursive: true });
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
  const index = { schemaVersion: 2, manifests: [{ annotations, ...manifest }] };
  await writeFile(`${directory}/index.json`, JSON.stringify(index));
  await writeFile(`${directory}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
}

/** The OCI image config of a small image. */
export function toConfig(image: SmallImage): object {
  return {
    architecture: readHostFacts().architecture,
    os: 'linux',
    config: {
      Env: image.env ?? ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: image.cmd ?? ['/bin/sh'],
      User: image.user ?? '',
      WorkingDir: image.workingDir ?? '/',
      Labels: image.labels ?? {},
      ...image.settings,
    },
    rootfs: { type: 'layers', diff_ids: image.layers.map(sha256) },
  };
}

/** Writes a sound layout with one image tagged `latest`; resolves to the digest of its manifest. */
export async function writeSmallOciLayout(directory: string, image: SmallImage): Promise<string> {
  const config = await writeBlob(directory, CONFIG_TYPE, JSON.stringify(toConfig(image)));
  const layers: BlobDescriptor[] = [];
  for (const tar of image.layers) layers.push(await writeBlob(directory, LAYER_TYPE, tar));
  const manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers };
  const described = await writeBlob(directory, MANIFEST_TYPE, JSON.stringify(manifest));
  await writeIndex(directory, described);
  return described.digest;
}
