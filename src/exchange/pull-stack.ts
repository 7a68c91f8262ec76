/** Pulls one image of a stack from a registry, by digest, as a revision that need not become current. */
import type { ImageDigest, StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import type { Image } from '../store/images/image.ts';
import { addRevision } from '../store/stacks/change-revisions.ts';
import { readCurrentGeneration, revisionIn } from '../store/stacks/generations.ts';
import { readRevision, readRevisionNumbers } from '../store/stacks/revisions.ts';
import { abortable } from './abortable.ts';
import { holdStoreFor } from './hold-store-for.ts';
import { toReporter } from './progress.ts';
import { type PublishedStack, type PublishOptions, publishImage } from './publish-image.ts';
import { parsePinnedName } from './registry/image-reference.ts';
import { pullByDigest } from './registry/pull-by-digest.ts';
import type { RegistryOptions } from './registry/run-skopeo.ts';

export interface PullStackOptions extends PublishOptions, RegistryOptions {
  readonly stack: StackName;
  /** `docker://HOST/NAME@sha256:…`. */
  readonly reference: string;
}

/**
 * Pulls an image unless the stack has it already. If this machine does not have the stack yet, the image is smoke-tested and becomes current.
 * Otherwise it becomes a revision that tasks find by its digest, and the current revision stays; a collection removes such a revision, and the next
 * call pulls it again. Throws the errors of `pullByDigest` and of `publishImages`; then nothing of the image stays.
 */
export async function pullStack(
  layout: Layout,
  options: PullStackOptions,
): Promise<PublishedStack> {
  const { stack, reference, system, signal, clock = () => new Date() } = options;
  const pinned = parsePinnedName(reference);
  return await abortable(`pull stack ${stack}`, signal, () =>
    holdStoreFor(layout, system, async () => {
      const isOwn = ({ digest }: Image) => findRevision(layout, stack, digest) !== undefined;
      const image = await pullByDigest(layout, { ...options, ...pinned, isOwn });
      const known = findRevision(layout, stack, image.digest);
      if (known !== undefined) return { stack, revision: known, image: image.digest };
      const source = { kind: 'import', reference } as const;
      if (revisionIn(readCurrentGeneration(layout), stack) !== undefined) {
        const entry = { stack, image: image.digest, source, now: clock() };
        const { revision } = await addRevision(layout, system, entry);
        return { stack, revision, image: image.digest };
      }
      const report = toReporter(options.onProgress);
      const publishing = { ...options, report, reason: `pull ${stack}` };
      return await publishImage(layout, { stack, image, source }, publishing);
    }),
  );
}

const findRevision = (layout: Layout, stack: StackName, image: ImageDigest) =>
  readRevisionNumbers(layout, stack)
    .reverse()
    .find((number) => readRevision(layout, stack, number)?.image === image);
