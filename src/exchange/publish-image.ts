/** Makes revisions of stored images, and makes all of them current at once after each has passed its smoke command. */
import type { ImageDigest, StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { type Image, STACK_LABELS } from '../store/images/image.ts';
import { addRevision, removeRevision } from '../store/stacks/change-revisions.ts';
import { flipStacks } from '../store/stacks/flip-stacks.ts';
import type { Revision, RevisionSource } from '../store/stacks/revisions.ts';
import type { System } from '../sys/system.ts';
import { nameKnownContent } from './oci-image/name-content.ts';
import type { ProgressListener } from './progress.ts';
import { parseSmokeLabel, runSmoke, type SmokeRunner } from './smoke.ts';

/** Options that all exchange commands share. */
export interface ExchangeOptions {
  readonly system: System;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
}

export interface PublishOptions extends ExchangeOptions {
  /** Runs the smoke command as a real task. */
  readonly runSmoke: SmokeRunner;
  /** Maximum wall time of a smoke command. Default 2 minutes. */
  readonly smokeTimeoutMs?: number;
  /** Gives the time of the new revisions. Default: the machine's clock. */
  readonly clock?: () => Date;
}

/** The outcome of a command that adds a revision. */
export interface PublishedStack {
  readonly stack: StackName;
  /** The current revision after the command. */
  readonly revision: number;
  readonly image: ImageDigest;
}

export interface Publication {
  readonly stack: StackName;
  readonly image: Image;
  readonly source: RevisionSource;
  /** Replaces the command in the image's label. */
  readonly smoke?: readonly string[] | undefined;
}

export interface Publishing {
  /** The reason for people, stored in the generation: `import tools`. */
  readonly reason: string;
  readonly report: ProgressListener;
  /** What to do if a smoke command fails. Default: advice for one image. */
  readonly hint?: string;
}

const SMOKE_HINT =
  'the stack stays as it was; correct the image, or name a command that fits it with --smoke';

const DEFAULT_SMOKE_TIMEOUT_MS = 120_000;
/** For images made without stackshim in mind. */
const DEFAULT_SMOKE = ['/bin/true'] as const;

/**
 * Adds the revisions, smoke-tests each in a real task, and makes all current by one flip. On failure removes the revisions; the current ones stay.
 * Precondition: the caller holds the store. Throws ERR_STACKSHIM_SMOKE_FAILED, ERR_STACKSHIM_STACK_BUSY, ERR_STACKSHIM_DISK_FULL.
 */
export async function publishImages(
  layout: Layout,
  publications: readonly Publication[],
  options: PublishOptions & Publishing,
): Promise<readonly Revision[]> {
  const { system, report, reason, signal, clock = () => new Date() } = options;
  const added: Revision[] = [];
  try {
    for (const publication of publications) {
      const { stack, image, source } = publication;
      const hasLabel = image.config.labels[STACK_LABELS.smoke] !== undefined;
      const command = publication.smoke ?? (hasLabel ? parseSmokeLabel(image) : DEFAULT_SMOKE);
      const entry = { stack, image: image.digest, source, now: clock() };
      const revision = await addRevision(layout, system, entry);
      added.push(revision);
      report({ kind: 'step', step: 'smoke', text: `smoke-test ${stack}` });
      await runSmoke(revision, command, {
        run: options.runSmoke,
        timeoutMs: options.smokeTimeoutMs ?? DEFAULT_SMOKE_TIMEOUT_MS,
        hint: options.hint ?? SMOKE_HINT,
        signal,
      });
      signal?.throwIfAborted();
      await nameKnownContent(layout, image, { system, signal });
    }
    for (const { stack, revision } of added) {
      report({ kind: 'step', step: 'flip', text: `make revision ${revision} of ${stack} current` });
    }
    const changes = new Map(added.map(({ stack, revision }) => [stack, revision]));
    await flipStacks(layout, system, { changes, now: clock(), reason });
    return added;
  } catch (error) {
    for (const revision of added) await removeRevision(layout, system, revision);
    throw error;
  }
}

/** Like {@link publishImages}, for one image. */
export async function publishImage(
  layout: Layout,
  publication: Publication,
  options: PublishOptions & Publishing,
): Promise<PublishedStack> {
  const { stack, image } = publication;
  const [added] = await publishImages(layout, [publication], options);
  return { stack, revision: added?.revision ?? 0, image: image.digest };
}
