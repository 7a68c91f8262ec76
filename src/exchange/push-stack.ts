/** Pushes a stack to a registry: exports it into `tmp/`, then copies it with skopeo. */
import type { ImageDigest } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { addImageNames } from '../store/images/store-image.ts';
import { resolveStack } from '../store/stacks/resolve-stack.ts';
import { abortable } from './abortable.ts';
import { exportStack } from './export-stack.ts';
import { inWorkFolder } from './in-work-folder.ts';
import { toReporter } from './progress.ts';
import type { ExchangeOptions } from './publish-image.ts';
import { copyToRegistry } from './registry/copy-to-registry.ts';
import { parsePushName } from './registry/image-reference.ts';
import { type RegistryOptions, takeAuthFile } from './registry/run-skopeo.ts';

export interface PushStackOptions extends ExchangeOptions, RegistryOptions {
  /** `name`, `name@rev:N` or `name@sha256:…`. */
  readonly stack: string;
  /** `docker://HOST/NAME[:TAG]`. */
  readonly reference: string;
}

export interface PushedStack {
  readonly stack: string;
  readonly revision: number;
  readonly reference: string;
  /** Content digest, by which other machines pull the image; a tag in the registry contains it. */
  readonly content: ImageDigest;
  /** The digest in the registry. */
  readonly digest: ImageDigest;
}

/** Throws like `exportStack`, ERR_STACKSHIM_REGISTRY_FAILED, and ERR_STACKSHIM_INPUT_NOT_FOUND for the credentials file. */
export async function pushStack(layout: Layout, options: PushStackOptions): Promise<PushedStack> {
  const name = parsePushName(options.reference);
  const report = toReporter(options.onProgress);
  return await abortable(`push ${options.stack}`, options.signal, () =>
    inWorkFolder(layout, async (work) => {
      const run = { ...takeAuthFile(options, work), work, report };
      const file = `${work}/image.tar`;
      const exported = await exportStack(layout, { ...options, file });
      const { stack, revision } = exported;
      const digest = await copyToRegistry(file, name, exported.digest, run);
      const { image } = resolveStack(layout, { name: stack, revision });
      await addImageNames(layout, image.digest, { system: options.system, others: [digest] });
      return { stack, revision, reference: options.reference, content: exported.digest, digest };
    }),
  );
}
