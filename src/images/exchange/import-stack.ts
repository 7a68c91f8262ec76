/** An image that was made elsewhere becomes a stack's current revision: read, checked, stored as layers, smoke-tested, flipped. */
import { mkdir } from 'node:fs/promises';
import type { ImageDigest, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { guardDisk } from '../../layers/guard-disk.ts';
import { temporaryPath } from '../../layers/stale-files.ts';
import type { Image } from '../../stacks/image.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import { abortable } from '../build-aborted.ts';
import { type ProgressListener, toReporter } from '../build-progress.ts';
import { holdStoreFor } from '../hold-store-for.ts';
import { importImage } from '../import-oci-layout.ts';
import { openLayoutRoot } from '../oci-blobs.ts';
import { type OciImage, readOciLayout } from '../read-oci-layout.ts';
import { parseSmokeOption } from '../smoke.ts';
import { type ImageReference, parseImageReference } from './image-reference.ts';
import { openArchive } from './open-archive.ts';
import { type PublishOptions, publishImages, SMOKE_HINT } from './publish-image.ts';
import { PULLED_TAG, pullImage } from './pull-image.ts';
import { readDockerArchive } from './read-docker-archive.ts';
import { type RegistryOptions, takeAuthFile } from './run-skopeo.ts';

export interface ImportStackOptions extends PublishOptions, RegistryOptions {
  readonly stack: StackName;
  /** `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]`, `docker://HOST/NAME[:TAG]`. */
  readonly reference: string;
  /** Smoke command: a JSON array of strings or a line for `/bin/sh -c`. Default: the image's label, else `/bin/true`. */
  readonly smoke?: string | undefined;
}

/** What the commands of the exchange answer with. */
export interface PublishedStack {
  readonly stack: StackName;
  /** The current revision now. */
  readonly revision: number;
  readonly image: ImageDigest;
}

/**
 * Imports the image and makes it the current revision of `stack`. Until the last step nothing that was there before
 * changes; layers that are stored already are not made again. Failing, it leaves nothing.
 *
 * Throws ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_REGISTRY_FAILED, ERR_STACKSHIM_SMOKE_FAILED,
 * and as `importOciLayout`.
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
        // Skopeo writes an OCI manifest, whatever kind the registry has: the image is known by the registry's digests as well.
        return await take({ ...pulled, otherDigests: [...pulled.otherDigests, ...digests] });
      });
  }
}

/** Gives `use` a folder below `tmp/` that is gone when the promise settles. */
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
