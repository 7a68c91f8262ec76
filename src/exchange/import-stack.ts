/** Turns an image from elsewhere into a stack's current revision: read, check, store as layers, smoke-test, flip. */
import { mkdir } from 'node:fs/promises';
import type { ImageDigest, StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import type { Image } from '../store/images/image.ts';
import { temporaryPath } from '../store/stale-files.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { abortable } from './abortable.ts';
import { openArchive } from './archives/open-archive.ts';
import { readDockerArchive } from './archives/read-docker-archive.ts';
import { holdStoreFor } from './hold-store-for.ts';
import { importImage } from './oci-image/import-oci-layout.ts';
import { openLayoutRoot } from './oci-image/oci-blobs.ts';
import { type OciImage, readOciLayout } from './oci-image/read-oci-layout.ts';
import { type ProgressListener, toReporter } from './progress.ts';
import { type PublishOptions, publishImages, SMOKE_HINT } from './publish-image.ts';
import { type ImageReference, parseImageReference } from './registry/image-reference.ts';
import { PULLED_TAG, pullImage } from './registry/pull-image.ts';
import { type RegistryOptions, takeAuthFile } from './registry/run-skopeo.ts';
import { parseSmokeOption } from './smoke.ts';

export interface ImportStackOptions extends PublishOptions, RegistryOptions {
  readonly stack: StackName;
  /** `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]`, `docker://HOST/NAME[:TAG]`. */
  readonly reference: string;
  /** Smoke command: a JSON array of strings or a line for `/bin/sh -c`. Default: the image's label, otherwise `/bin/true`. */
  readonly smoke?: string | undefined;
}

/** The outcome of the commands that add a revision. */
export interface PublishedStack {
  readonly stack: StackName;
  /** The current revision after the command. */
  readonly revision: number;
  readonly image: ImageDigest;
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
  const { stack, signal } = options;
  const reference = parseImageReference(options.reference);
  const smoke = options.smoke === undefined ? undefined : parseSmokeOption(options.smoke);
  const report = toReporter(options.onProgress);
  return await abortable(`import ${options.reference}`, signal, async () => {
    const work = async () => {
      const image = await importReference(layout, reference, { ...options, report });
      const source = { kind: 'import', reference: options.reference } as const;
      const publication = { stack, image, source, smoke };
      const publishing = { ...options, report, reason: `import ${stack}`, hint: SMOKE_HINT };
      const [revision] = await publishImages(layout, [publication], publishing);
      return { stack, revision: revision?.revision ?? 0, image: image.digest };
    };
    return await holdStoreFor(layout, options.system, { work });
  });
}

type Importing = ImportStackOptions & { readonly report: ProgressListener };

async function importReference(
  layout: Layout,
  reference: ImageReference,
  options: Importing,
): Promise<Image> {
  const take = (source: OciImage) => {
    options.report({ kind: 'step', step: 'import', text: `import ${options.reference}` });
    const { system, report, signal } = options;
    return importImage(layout, source, {
      system,
      onProgress: report,
      signal,
    });
  };
  switch (reference.kind) {
    case 'oci':
      return await take(await readOciLayout(await openLayoutRoot(reference.path), reference.tag));
    case 'oci-archive':
    case 'docker-archive': {
      const { system, signal } = options;
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
        options.report({ kind: 'step', step: 'fetch', text: `fetch ${options.reference}` });
        const registry = takeAuthFile(options, work);
        const { directory, digests } = await pullImage(reference.name, registry, {
          ...options,
          work,
          step: 'fetch',
        });
        const pulled = await readOciLayout(await openLayoutRoot(directory), PULLED_TAG);
        // Skopeo writes an OCI manifest, whatever type the registry has, so remember the registry's digests as well.
        return await take({ ...pulled, otherDigests: [...pulled.otherDigests, ...digests] });
      });
  }
}

/** Calls `use` with a folder below `tmp/`, and removes the folder when the promise settles. */
export async function inWorkFolder<T>(
  layout: Layout,
  use: (work: string) => Promise<T>,
): Promise<T> {
  const work = temporaryPath(layout);
  await guardDisk(`make ${work}`, () => mkdir(work, { recursive: true, mode: 0o700 }));
  try {
    return await use(work);
  } finally {
    await removeTree(work);
  }
}
