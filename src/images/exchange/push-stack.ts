/** Pushes a stack to a registry: exported into `tmp/`, then copied by skopeo, which compresses the layers and leaves out what is there. */
import { readFile } from 'node:fs/promises';
import { type ImageDigest, isImageDigest } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { resolveStack } from '../../stacks/resolve-stack.ts';
import { addImageNames } from '../../stacks/store-image.ts';
import { abortable } from '../build-aborted.ts';
import { toReporter } from '../build-progress.ts';
import { toInvalid } from '../oci-blobs.ts';
import { exportStack } from './export-stack.ts';
import { parsePushName } from './image-reference.ts';
import { inWorkFolder } from './import-stack.ts';
import type { ExchangeOptions } from './publish-image.ts';
import { type RegistryOptions, registryFlags, runSkopeo, takeAuthFile } from './run-skopeo.ts';

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
  /** Under which the registry has it. */
  readonly digest: ImageDigest;
}

/** Throws as `exportStack`, and ERR_STACKSHIM_REGISTRY_FAILED, ERR_STACKSHIM_INPUT_NOT_FOUND for the passwords. */
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
