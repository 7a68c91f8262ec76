/** Pushes a stack to a registry: exports it into `tmp/`, then copies it by skopeo, which compresses the layers and skips those that the registry has. */
import { readFile } from 'node:fs/promises';
import { type ImageDigest, isImageDigest } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { addImageNames } from '../store/images/store-image.ts';
import { resolveStack } from '../store/stacks/resolve-stack.ts';
import { abortable } from './abortable.ts';
import { exportStack } from './export-stack.ts';
import { inWorkFolder } from './import-stack.ts';
import { toInvalid } from './oci-image/oci-blobs.ts';
import { toReporter } from './progress.ts';
import type { ExchangeOptions } from './publish-image.ts';
import { parsePushName } from './registry/image-reference.ts';
import {
  type RegistryOptions,
  registryFlags,
  runSkopeo,
  takeAuthFile,
} from './registry/run-skopeo.ts';

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
  /** The digest in the registry. */
  readonly digest: ImageDigest;
}

/** Throws like `exportStack`, ERR_STACKSHIM_REGISTRY_FAILED, and ERR_STACKSHIM_INPUT_NOT_FOUND for the credentials file. */
export async function pushStack(layout: Layout, options: PushStackOptions): Promise<PushedStack> {
  const name = parsePushName(options.reference);
  const report = toReporter(options.onProgress);
  return await abortable(`push ${options.stack}`, options.signal, () =>
    inWorkFolder(layout, async (work) => {
      const registry = takeAuthFile(options, work);
      const file = `${work}/image.tar`;
      const exported = await exportStack(layout, { ...options, file });
      report({ kind: 'step', step: 'push', text: `push ${options.reference}` });
      const digestFile = `${work}/digest`;
      await runSkopeo(
        [
          ...['copy', '--format', 'oci', '--digestfile', digestFile],
          ...registryFlags(registry, 'dest-'),
          ...[`oci-archive:${file}`, `docker://${name}`],
        ],
        { ...options, work, step: 'push', report },
      );
      const digest = (await readFile(digestFile, 'utf8')).trim();
      if (!isImageDigest(digest))
        throw toInvalid(`push ${options.reference}: skopeo returned no digest`);
      const { stack, revision } = exported;
      const { image } = resolveStack(layout, { name: stack, revision });
      await addImageNames(layout, image.digest, { system: options.system, others: [digest] });
      return { stack, revision, reference: options.reference, digest };
    }),
  );
}
