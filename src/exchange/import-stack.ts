/** Turns an image from elsewhere into a stack's current revision: read, check, store as layers, smoke-test, flip. */
import { rm } from 'node:fs/promises';
import { LAYER_LIMITS } from '../archive/archive-limits.ts';
import { toArchiveTooLarge } from '../archive/archive-policy.ts';
import { toStackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { withoutUndefined } from '../core/read-fields.ts';
import { invalidInput } from '../spec/field-errors.ts';
import type { Image, ImageConfig } from '../store/images/image.ts';
import { receiveFile } from '../store/receive-file.ts';
import { abortable } from './abortable.ts';
import { openArchive } from './archives/open-archive.ts';
import { readDockerArchive } from './archives/read-docker-archive.ts';
import { holdStoreFor } from './hold-store-for.ts';
import { inWorkFolder } from './in-work-folder.ts';
import { importImage } from './oci-image/import-oci-layout.ts';
import { openLayoutRoot } from './oci-image/oci-blobs.ts';
import { type OciImage, readOciLayout } from './oci-image/read-oci-layout.ts';
import { type ProgressListener, toReporter } from './progress.ts';
import { type PublishedStack, type PublishOptions, publishImage } from './publish-image.ts';
import { type ImageReference, parseImageReference } from './registry/image-reference.ts';
import { pullImage, readPulled } from './registry/pull-image.ts';
import { type RegistryOptions, takeAuthFile } from './registry/run-skopeo.ts';
import { type ImageSettings, parseImageSettings } from './root-filesystem/image-settings.ts';
import { importRootfs } from './root-filesystem/import-rootfs.ts';
import {
  ROOTFS_POLICY,
  recogniseSource,
  type SourcePlace,
} from './root-filesystem/recognise-source.ts';
import { parseSmokeOption } from './smoke.ts';

/** In place of a path. */
export const STANDARD_INPUT = '-';

export interface ImportStackOptions extends PublishOptions, RegistryOptions {
  readonly stack: StackName;
  /**
   * `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]`, `docker://HOST/NAME[:TAG]`, or the path of a folder or tar, whose
   * content tells whether it is a root filesystem or an image. `rootfs:PATH`: it is a root filesystem. `-` in place of a path: `input`.
   */
  readonly reference: string;
  /** The bytes of the tar that `-` stands for. */
  readonly input?: AsyncIterable<Uint8Array> | undefined;
  /** Settings of the image of a root filesystem. An image brings its own. */
  readonly settings?: ImageSettings | undefined;
  /** Smoke command: a JSON array of strings or a line for `/bin/sh -c`. Default: the image's label, otherwise `/bin/true`. */
  readonly smoke?: string | undefined;
}

/**
 * Imports the image and makes it the current revision of `stack`. Nothing that exists changes before the last step, and layers that are
 * stored already are not made again. A failed import leaves nothing.
 *
 * Throws ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_REGISTRY_FAILED, ERR_STACKSHIM_SMOKE_FAILED, and the
 * errors of `importOciLayout`.
 */
export async function importStack(
  layout: Layout,
  options: ImportStackOptions,
): Promise<PublishedStack> {
  const { stack, system, signal } = options;
  const reference = parseImageReference(options.reference);
  const config = parseImageSettings(options.settings ?? {});
  const smoke = options.smoke === undefined ? undefined : parseSmokeOption(options.smoke);
  const report = toReporter(options.onProgress);
  return await abortable(`import ${options.reference}`, signal, () =>
    holdStoreFor(layout, system, async () => {
      const image = await importReference(layout, reference, { ...options, report, config });
      const isInput = reference.kind === 'path' && reference.path === STANDARD_INPUT;
      const name = isInput ? 'standard input' : options.reference;
      const source = { kind: 'import', reference: name } as const;
      const publishing = { ...options, report, reason: `import ${stack}` };
      return await publishImage(layout, { stack, image, source, smoke }, publishing);
    }),
  );
}

type Importing = ImportStackOptions & {
  readonly report: ProgressListener;
  /** Made of the settings. */
  readonly config: ImageConfig;
};

async function importReference(
  layout: Layout,
  reference: ImageReference,
  options: Importing,
): Promise<Image> {
  const { system, report, signal } = options;
  if (reference.kind !== 'path') requireNoSettings(options);
  const take = (source: OciImage) => {
    report({ kind: 'step', step: 'import', text: `import ${options.reference}` });
    return importImage(layout, source, { system, onProgress: report, signal });
  };
  switch (reference.kind) {
    case 'path':
      return await importPath(layout, reference, options);
    case 'oci':
      return await take(await readOciLayout(await openLayoutRoot(reference.path), reference.tag));
    case 'oci-archive':
    case 'docker-archive': {
      const archive = await openArchive({ system, layout, signal }, reference.path);
      try {
        const read = reference.kind === 'oci-archive' ? readOciLayout : readDockerArchive;
        return await take(await read(archive, reference.tag));
      } finally {
        await archive.close();
      }
    }
    case 'docker':
      return await inWorkFolder(layout, async (work) => {
        report({ kind: 'step', step: 'fetch', text: `fetch ${options.reference}` });
        const run = { ...takeAuthFile(options, work), work };
        return await take(await readPulled(await pullImage(reference.name, run)));
      });
  }
}

/** Standard input is received first: what it is shows only when all of its names are known. */
async function importPath(
  layout: Layout,
  { path, isRootfs }: Omit<SourcePlace, 'name'>,
  options: Importing,
): Promise<Image> {
  if (path !== STANDARD_INPUT)
    return await importPlace(layout, { path, name: path, isRootfs }, options);
  const received = await receiveInput(layout, options);
  try {
    const place = { path: received, name: 'standard input', isRootfs };
    return await importPlace(layout, place, options);
  } finally {
    await rm(received, { force: true });
  }
}

async function importPlace(layout: Layout, place: SourcePlace, options: Importing): Promise<Image> {
  const { system, signal, report, config } = options;
  const found = await recogniseSource({ system, layout, signal }, place);
  const { kind } = found;
  if (kind !== 'rootfs') return await importReference(layout, { kind, path: place.path }, options);
  const { source } = found;
  try {
    report({ kind: 'step', step: 'import', text: `import ${place.name}` });
    return await importRootfs(layout, source, { system, place, config, report, signal });
  } finally {
    await source.file.close();
  }
}

async function receiveInput(layout: Layout, { input, signal, report }: Importing): Promise<string> {
  if (input === undefined) {
    const hint = 'give the stream as the option input, or the path of a folder or tar';
    throw invalidInput('input', 'import -: no input is given', hint);
  }
  report({ kind: 'step', step: 'fetch', text: 'read standard input' });
  return await receiveFile(layout, readable(input), {
    maxBytes: LAYER_LIMITS.bytes,
    toTooLarge: () => toArchiveTooLarge(ROOTFS_POLICY, 'bytes', LAYER_LIMITS.bytes),
    signals: signal === undefined ? [] : [signal],
  });
}

async function* readable(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* input;
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_INPUT_NOT_FOUND', 'read standard input');
  }
}

function requireNoSettings({ settings = {}, reference }: Importing): void {
  const [given] = Object.keys(withoutUndefined(settings));
  if (given === undefined) return;
  const message = `import ${reference}: the image brings its own settings, and ${given} is only for a root filesystem`;
  const hint = 'leave the settings out, or build a stack FROM the imported one that changes them';
  throw invalidInput(given, message, hint);
}
