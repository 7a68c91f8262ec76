/** From a folder with a Dockerfile to a stack's new current revision: build, import, smoke, flip. */

import { createHash } from 'node:crypto';
import { StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { readVerifiedRecord } from '../layers/verify-layer.ts';
import { resolveRuntime } from '../runtime/resolve-runtime.ts';
import { DEFAULT_RUNTIME } from '../spec/policy.ts';
import { addRevision, removeRevision } from '../stacks/add-revision.ts';
import { flipStacks } from '../stacks/flip-stacks.ts';
import type { Image, PinnedImage } from '../stacks/image.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { type Revision, requireRevision } from '../stacks/revisions.ts';
import type { TaskResult } from '../task/result.ts';
import { abortable } from './build-aborted.ts';
import { copyBuildContext } from './build-context.ts';
import { claimBuildIds } from './build-ids.ts';
import { buildImage, resolveStacks } from './build-image.ts';
import { toReporter } from './build-progress.ts';
import type { Builder } from './builder.ts';
import { prepareBuilderHome } from './builder-home.ts';
import type { PublishedStack } from './exchange/import-stack.ts';
import type { PublishOptions } from './exchange/publish-image.ts';
import { holdStoreFor } from './hold-store-for.ts';
import { parseSmokeLabel, runSmoke } from './smoke.ts';
import { withBuildLock } from './stack-build-lock.ts';
import { openStackFolder, type StackFolder } from './stack-folder.ts';
import { readStackSource, type StackSource } from './stack-source.ts';
import { type StepPlace, toStepPlace } from './step-options.ts';
import {
  clearDeadHomes,
  type HeldHome,
  leaveBuilderHome,
  takeBuilderHome,
} from './take-builder-home.ts';

export interface BuildStackOptions extends PublishOptions {
  /** Do nothing when the current revision was built from the same files on the same base, and is whole. */
  readonly ifChanged?: boolean;
  /** Build, but make no revision where the image is the current one again: nothing that it is made of has changed. */
  readonly ifDifferent?: boolean;
  /** How long to wait while as many builds run as may run at a time. Default 10 minutes. */
  readonly lockWaitMs?: number;
  /** Where proxies are named. Default: this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface BuildResult extends PublishedStack {
  readonly status: 'built' | 'unchanged';
  /** The result of the smoke command; null when there is no new revision. */
  readonly smoke: TaskResult | null;
}

/** Counted up when the same folder would now give another image. */
const BUILDER_FORMAT = 1;
const DEFAULT_SMOKE_TIMEOUT_MS = 120_000;

/**
 * Builds the folder and makes the result the current revision of the stack that is called like the folder.
 * Until the last step nothing that was there before changes. Failing, it leaves everything as it was; killed, it leaves the
 * stack as it was, and the next build clears away what this one left. Two builds of a root folder run at a time; others wait. A second build of
 * the same stack does not: ERR_STACKSHIM_STACK_BUSY.
 *
 * Throws ERR_STACKSHIM_BUILD_FAILED (`details.output` has the builder's last lines), ERR_STACKSHIM_SMOKE_FAILED
 * (`details` has the command's output), ERR_STACKSHIM_STACK_NOT_FOUND (the base is not built), ERR_STACKSHIM_STACK_BUSY,
 * ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_BUILD_ABORTED, ERR_STACKSHIM_INPUT_NOT_FOUND,
 * ERR_STACKSHIM_SPEC_INVALID, and as `importOciLayout`.
 */
export async function buildStack(
  layout: Layout,
  directory: string,
  options: BuildStackOptions,
): Promise<BuildResult> {
  return await abortable(`build ${directory}`, options.signal, async () => {
    const folder = openStackFolder(directory);
    const { system, signal, lockWaitMs } = options;
    const build = async (): Promise<BuildResult> => {
      const home = await takeBuilderHome(layout, system, { waitMs: lockWaitMs, signal });
      try {
        return await buildInHome(layout, home, { folder, options });
      } finally {
        await leaveBuilderHome(home);
        // A process of a build that was killed may have lived on while this one took its own place.
        await clearDeadHomes(layout, system);
      }
    };
    return await withBuildLock(layout, build, { system, stack: folder.name });
  });
}

async function buildInHome(
  layout: Layout,
  held: HeldHome,
  { folder, options }: { readonly folder: StackFolder; readonly options: BuildStackOptions },
): Promise<BuildResult> {
  const { system, signal } = options;
  const home = await prepareBuilderHome(layout, held, options.env ?? process.env);
  const claimed = claimBuildIds(system, layout);
  try {
    const context = await copyBuildContext(folder, home.work);
    const source = readStackSource(folder, context);
    const inputHash = hashInputs(layout, source);
    const unchanged = options.ifChanged
      ? await findUnchanged(layout, source, inputHash)
      : undefined;
    if (unchanged !== undefined) return unchanged;
    const runtime = await resolveRuntime(DEFAULT_RUNTIME, { layout });
    const builder: Builder = {
      system,
      locks: [held.lock],
      home,
      report: toReporter(options.onProgress),
      signal,
    };
    const place = toStepPlace(held, home, { ...claimed, runtime: runtime.path });
    const build = { source, place, inputHash, options };
    return await holdStoreFor(layout, system, {
      work: () => buildHeld(layout, builder, build),
      isInVain: ({ status }) => status === 'unchanged',
    });
  } finally {
    claimed.lock.release();
  }
}

interface Build {
  readonly source: StackSource;
  readonly place: StepPlace;
  readonly inputHash: string;
  readonly options: BuildStackOptions;
}

async function buildHeld(layout: Layout, builder: Builder, build: Build): Promise<BuildResult> {
  const { source, place, inputHash, options } = build;
  const { image, base } = await buildImage(layout, builder, { source, place });
  const same = options.ifDifferent ? findSame(layout, source, image) : undefined;
  if (same !== undefined) return same;
  const command = parseSmokeLabel(image);
  const now = options.clock ?? (() => new Date());
  const revision = await addRevision(layout, builder.system, {
    stack: source.name,
    image: image.digest,
    source: { kind: 'build', directory: source.path, inputHash, ...toBaseReference(base) },
    now: now(),
  });
  try {
    const smoke = await smokeRevision(builder, revision, { command, options });
    builder.report({
      kind: 'step',
      step: 'flip',
      text: `make revision ${revision.revision} current`,
    });
    const changes = new Map([[source.name, revision.revision]]);
    const reason = `build ${source.name}`;
    await flipStacks(layout, builder.system, { changes, now: now(), reason });
    return toResult('built', revision, smoke);
  } catch (error) {
    await removeRevision(layout, builder.system, revision);
    throw error;
  }
}

async function smokeRevision(
  builder: Builder,
  revision: Revision,
  {
    command,
    options,
  }: { readonly command: readonly string[]; readonly options: BuildStackOptions },
): Promise<TaskResult> {
  builder.report({ kind: 'step', step: 'smoke', text: `smoke-test ${revision.stack}` });
  return await runSmoke(revision, command, {
    run: options.runSmoke,
    timeoutMs: options.smokeTimeoutMs ?? DEFAULT_SMOKE_TIMEOUT_MS,
    signal: options.signal,
  });
}

function hashInputs(layout: Layout, source: StackSource): string {
  // Not their digests: a base that was built again from the same packages has another, though nothing changed.
  const images = resolveStacks(layout, source).map(({ image }) => toContent(image));
  return createHash('sha256')
    .update(JSON.stringify([BUILDER_FORMAT, source.context.filesHash, images]))
    .digest('hex');
}

async function findUnchanged(
  layout: Layout,
  source: StackSource,
  inputHash: string,
): Promise<BuildResult | undefined> {
  const current = findCurrent(layout, source.name);
  if (current === undefined) return undefined;
  const { entry, image } = current;
  const same = entry.source.kind === 'build' && entry.source.inputHash === inputHash;
  return same && (await isWhole(layout, image)) ? toResult('unchanged', entry, null) : undefined;
}

function findCurrent(
  layout: Layout,
  name: StackName,
): { readonly entry: Revision; readonly image: Image } | undefined {
  try {
    const { revision, image } = resolveStack(layout, { name });
    return { entry: requireRevision(layout, name, revision), image };
  } catch (error) {
    // No such stack yet, or a damaged one: both are built.
    if (error instanceof StackshimError) return undefined;
    throw error;
  }
}

/** The current revision, where the image that was built says and holds what that one's does. */
function findSame(layout: Layout, source: StackSource, built: Image): BuildResult | undefined {
  const current = findCurrent(layout, source.name);
  if (current === undefined) return undefined;
  const [before, now] = [current.image, built].map((image) => JSON.stringify(toContent(image)));
  return before === now ? toResult('unchanged', current.entry, null) : undefined;
}

/** What an image says and holds, whenever it was made. */
const toContent = ({ layers, config, architecture }: Image) => [layers, config, architecture];

const toBaseReference = (base: PinnedImage | undefined) =>
  base === undefined ? {} : { base: { stack: base.stack, revision: base.revision } };

async function isWhole(layout: Layout, image: Image): Promise<boolean> {
  for (const id of image.layers) {
    if ((await readVerifiedRecord(layout, id)) === undefined) return false;
  }
  return true;
}

const toResult = (
  status: BuildResult['status'],
  { stack, revision, image }: Revision,
  smoke: TaskResult | null,
): BuildResult => ({ status, stack, revision, image, smoke });
