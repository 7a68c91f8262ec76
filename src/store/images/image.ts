/** An image: an ordered list of layers, and the OCI config for running commands on them. `images/<hex>.json`, immutable under its digest. */
import { existsSync } from 'node:fs';
import {
  type ImageDigest,
  isImageDigest,
  isLayerId,
  type LayerId,
  type StackName,
} from '../../core/ids.ts';
import { imagesDir, type Layout } from '../../core/layout.ts';
import {
  FieldFault,
  isObject,
  listOf,
  mapOf,
  objectOf,
  optional,
  type Reader,
  textThat,
  textUpTo,
} from '../../core/read-fields.ts';
import { namesIn } from '../../sys/files.ts';
import {
  imageDigest,
  line,
  readStoredJson,
  type StoredVersion,
  toCorrupt,
  version,
} from '../stored-json.ts';

/** The part of an OCI image config that stackshim uses (image-spec, config.md). */
export interface ImageConfig {
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Empty means `/`. */
  readonly workingDir: string;
  /** `user[:group]`, names or numbers; empty means root. */
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The signal that asks the command to end, as the image spells it: `SIGQUIT`, `3`. Absent means TERM. */
  readonly stopSignal?: string;
  /** The other settings of the OCI config: `Healthcheck`, `ExposedPorts`, `Volumes`. They are exported again but have no effect here. */
  readonly other?: OtherSettings;
}

export interface Image {
  /** Digest of the OCI manifest; the content digest if the image was built here. */
  readonly digest: ImageDigest;
  /** Lowest first. */
  readonly layers: readonly LayerId[];
  /** OCI DiffIDs (`sha256:…` of the uncompressed tar), one for each layer. */
  readonly diffIds: readonly string[];
  readonly config: ImageConfig;
  readonly architecture: string;
}

/** What a task runs on: one revision of a stack, resolved once. */
export interface PinnedImage {
  readonly stack: StackName;
  readonly revision: number;
  readonly image: Image;
}

/** Image labels that control how a stack is built and run. */
export const STACK_LABELS = {
  smoke: 'io.stackshim.smoke',
  bundle: 'io.stackshim.bundle',
  description: 'io.stackshim.description',
  /** Last day on which the stack gets fixes: `2026-08-31`. */
  eol: 'io.stackshim.eol',
  /** Seconds since 1970; no file of the image's layers is newer. */
  epoch: 'io.stackshim.epoch',
} as const;

/** Settings of an OCI image config that stackshim does not use, kept unchanged for export. Values are any JSON, not interpreted. */
export type OtherSettings = Readonly<Record<string, unknown>>;

/** A health check has 3 levels. Unlimited nesting would overflow the writer's stack. */
const DEEPEST = 16;
const MAX_CHARS = 256 * 1024;
const EMPTY: ReadonlySet<unknown> = new Set([undefined, null, false, '']);

/** Drops empty values, which docker writes for many absent settings; undefined if no setting is left. */
export function toOtherSettings(
  settings: Readonly<Record<string, unknown>>,
): OtherSettings | undefined {
  const kept = Object.entries(settings).filter(
    ([name, value]) => name !== '__proto__' && !EMPTY.has(value),
  );
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** Reads settings from a file or an image. Checks their bounds; does not change the values. */
export const otherSettings: Reader<OtherSettings> = (value, field) => {
  if (!isObject(value)) throw new FieldFault(field, 'not an object');
  if (isDeeper(value, DEEPEST)) throw new FieldFault(field, `nested deeper than ${DEEPEST}`);
  if (JSON.stringify(value).length > MAX_CHARS) {
    throw new FieldFault(field, `more than ${MAX_CHARS} characters`);
  }
  return { ...value };
};

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((part) => isDeeper(part, levels - 1));
}

const MAX_LAYERS = 256;
const MAX_TEXTS = 4096;
const MAX_TEXT_CHARS = 64 * 1024;

export type StoredImage = Image & StoredVersion;

const text = textUpTo(MAX_TEXT_CHARS);
const texts = listOf(text, MAX_TEXTS);
const fields = objectOf<StoredImage>({
  version,
  digest: imageDigest,
  layers: listOf(textThat<LayerId>(isLayerId, 'not a layer id'), MAX_LAYERS, 1),
  diffIds: listOf(
    textThat((value) => /^sha256:[0-9a-f]{64}$/.test(value), 'not a DiffID'),
    MAX_LAYERS,
  ),
  config: objectOf<ImageConfig>({
    env: texts,
    entrypoint: texts,
    cmd: texts,
    workingDir: text,
    user: text,
    labels: mapOf(text, text),
    stopSignal: optional(text),
    other: optional(otherSettings),
  }),
  architecture: line,
});

export const storedImage: Reader<StoredImage> = (value, field) => {
  const image = fields(value, field);
  if (image.layers.length === image.diffIds.length) return image;
  throw new FieldFault(field, 'layers and diffIds differ in number');
};

const IMAGE_FILE = /^([0-9a-f]{64})\.json$/;

export const imageFile = (layout: Layout, digest: ImageDigest) =>
  `${imagesDir(layout)}/${digest.slice('sha256:'.length)}.json`;

/** Digests of all stored images, sorted, whether or not anything refers to them. */
export const listStoredImages = (layout: Layout): readonly ImageDigest[] =>
  namesIn(imagesDir(layout))
    .map((name) => `sha256:${IMAGE_FILE.exec(name)?.[1] ?? ''}`)
    .filter(isImageDigest)
    .sort();

/** Whether the image is stored. One system call. A task calls this once its record keeps the image from collection. */
export const isImageStored = (layout: Layout, digest: ImageDigest): boolean =>
  existsSync(imageFile(layout, digest));

const kind = { code: 'ERR_STACKSHIM_IMAGE_CORRUPT', what: 'image file' } as const;

/** Reads a stored image. Blocks for one file read. Throws ERR_STACKSHIM_IMAGE_CORRUPT if the file is missing, unreadable or holds another image. */
export function readImage(layout: Layout, digest: ImageDigest): Image {
  if (!isImageDigest(digest)) throw toCorrupt(imagesDir(layout), 'not an image digest', kind);
  const path = imageFile(layout, digest);
  const stored = readStoredJson(path, { ...kind, reader: storedImage });
  if (stored === undefined) throw toCorrupt(path, 'missing', kind);
  if (stored.digest !== digest) throw toCorrupt(path, `contains ${stored.digest}`, kind);
  const { version: _, ...image } = stored;
  return image;
}
