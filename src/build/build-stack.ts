/** Turns a folder with a Dockerfile into a stack's new current revision: build, import, smoke test, flip. */

import { createHash } from 'node:crypto';
import { StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import { type Layout, locksDir } from '../core/layout.ts';
import { abortable } from '../exchange/abortable.ts';
import { holdStoreFor } from '../exchange/hold-store-for.ts';
import { toReporter } from '../exchange/progress.ts';
import type { PublishedStack, PublishOptions } from '../exchange/publish-image.ts';
import { parseSmokeLabel, runSmoke } from '../exchange/smoke.ts';
import { resolveRuntime } from '../runtime/resolve-runtime.ts';
import { DEFAULT_RUNTIME } from '../spec/policy.ts';
import type { Image } from '../store/images/image.ts';
import { readVerifiedRecord } from '../store/layers/verify-layer.ts';
import { addRevision, removeRevision } from '../store/stacks/change-revisions.ts';
import { flipStacks } from '../store/stacks/flip-stacks.ts';
import { resolveStack } from '../store/stacks/resolve-stack.ts';
import { type Revision, requireRevision } from '../store/stacks/revisions.ts';
import { withLock } from '../store/with-lock.ts';
import type { TaskResult } from '../task/result.ts';
import { copyBuildContext } from './build-context.ts';
import { claimBuildIds } from './build-ids.ts';
import { buildImage, resolveStacks } from './build-image.ts';
import type { Builder } from './builder.ts';
import { prepareBuilderHome } from './builder-home.ts';
import { openStackFolder, type StackFolder } from './stack-folder.ts';
import { readStackSource, type StackSource } from './stack-source.ts';
import type { StepPlace } from './step-options.ts';
import {
  clearDeadHomes,
  type HeldHome,
  releaseBuilderHome,
  requireJobs,
  takeBuilderHome,
} from './take-builder-home.ts';

export interface BuildStackOptions extends PublishOptions {
  /** Do nothing if the current revision was built from the same files on the same base, and is intact. */
  readonly ifChanged?: boolean;
  /** Build, but make no revision if the image equals the current one. */
  readonly ifDifferent?: boolean;
  /** How long to wait while the maximum number of builds runs. Default: 10 minutes. */
  readonly lockWaitMs?: number;
  /** How many builds may run at a time in the root folder, 1 to 16. Default, and at least: 2. */
  readonly jobs?: number | undefined;
  /** The environment with proxy settings. Default: this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface BuildResult extends PublishedStack {
  readonly status: 'built' | 'unchanged';
  /** The result of the smoke command; null if there is no new revision. */
  readonly smoke: TaskResult | null;
}

/** Raise this number when the same folder would now give another image. */
const BUILDER_FORMAT = 1;
const DEFAULT_SMOKE_TIMEOUT_MS = 120_000;

/**
 * Builds the folder and makes the result the current revision of the stack with the folder's name. Only the last step changes the stack, so
 * a failed or killed build leaves it unchanged; the next build removes the remains of a killed one. Two builds, or `jobs`, run at a time in
 * a root folder; others wait. A second build of the same stack does not wait but throws ERR_STACKSHIM_STACK_BUSY.
 *
 * Throws ERR_STACKSHIM_BUILD_FAILED (`details.output` has the builder's last lines), ERR_STACKSHIM_SMOKE_FAILED (`details` has the
 * command's output), ERR_STACKSHIM_STACK_NOT_FOUND (the base is not built), ERR_STACKSHIM_STACK_BUSY, ERR_STACKSHIM_TOOL_MISSING,
 * ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_BUILD_ABORTED, ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_SPEC_INVALID, and the errors of
 * `importOciLayout`.
 */
export async function buildStack(
  layout: Layout,
  directory: string,
  options: BuildStackOptions,
): Promise<BuildResult> {
  return await abortable(`build ${directory}`, options.signal, async () => {
    const folder = openStackFolder(directory);
    const { system, signal, lockWaitMs } = options;
    const jobs = requireJobs(options.jobs);
    const stack = folder.name;
    const lock = `build.${stack}`;
    const toBusy = () =>
      new StackshimError(
        'ERR_STACKSHIM_STACK_BUSY',
        `build ${stack}: another build of this stack is running`,
        { details: { stack, path: `${locksDir(layout)}/${lock}` } },
      );
    const work = async (): Promise<BuildResult> => {
      const home = await takeBuilderHome(layout, system, { waitMs: lockWaitMs, jobs, signal });
      try {
        return await buildInHome(layout, home, folder, options);
      } finally {
        await releaseBuilderHome(home);
        // A process of a killed build may have outlived the clean-up at the start of this build.
        await clearDeadHomes(layout, system);
      }
    };
    return await withLock(layout, lock, { system, waitMs: 0, toBusy }, work);
  });
}

async function buildInHome(
  layout: Layout,
  held: HeldHome,
  folder: StackFolder,
  options: BuildStackOptions,
): Promise<BuildResult> {
  const { system, signal } = options;
  const home = await prepareBuilderHome(layout, held, options.env ?? process.env);
  const claimed = claimBuildIds(system, layout);
  try {
    const context = await copyBuildContext(folder, home.work);
    const source = readStackSource(folder, context);
    const inputHash = hashInputs(layout, source);
    const current = options.ifChanged ? findCurrent(layout, source.name) : undefined;
    const before = current?.entry.source;
    const isSame = before?.kind === 'build' && before.inputHash === inputHash;
    if (current !== undefined && isSame && (await isWhole(layout, current.image))) {
      return toResult('unchanged', current.entry, null);
    }
    const runtime = await resolveRuntime(DEFAULT_RUNTIME, { layout });
    const builder: Builder = {
      system,
      locks: [held.lock],
      home,
      report: toReporter(options.onProgress),
      signal,
    };
    const place = { ...claimed, runtime: runtime.path, cgroup: held.cgroup };
    const build = { source, place, inputHash, options };
    const work = () => buildHeld(layout, builder, build);
    return await holdStoreFor(layout, system, work, ({ status }) => status === 'unchanged');
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
  const { image, base } = await buildImage(layout, builder, source, place);
  const current = options.ifDifferent ? findCurrent(layout, source.name) : undefined;
  const textOf = (one: Image) => JSON.stringify(toContent(one));
  if (current !== undefined && textOf(current.image) === textOf(image)) {
    return toResult('unchanged', current.entry, null);
  }
  const command = parseSmokeLabel(image);
  const now = options.clock ?? (() => new Date());
  const builtOn = base && { stack: base.stack, revision: base.revision };
  const revision = await addRevision(layout, builder.system, {
    stack: source.name,
    image: image.digest,
    source: { kind: 'build', directory: source.path, inputHash, base: builtOn },
    now: now(),
  });
  try {
    builder.report({ kind: 'step', step: 'smoke', text: `smoke-test ${revision.stack}` });
    const smoke = await runSmoke(revision, command, {
      run: options.runSmoke,
      timeoutMs: options.smokeTimeoutMs ?? DEFAULT_SMOKE_TIMEOUT_MS,
      signal: options.signal,
    });
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

function hashInputs(layout: Layout, source: StackSource): string {
  // Do not hash digests: a base that is built again from the same packages has another digest, although nothing changed.
  const images = resolveStacks(layout, source).map(({ image }) => toContent(image));
  return createHash('sha256')
    .update(JSON.stringify([BUILDER_FORMAT, source.context.filesHash, images]))
    .digest('hex');
}

function findCurrent(
  layout: Layout,
  name: StackName,
): { readonly entry: Revision; readonly image: Image } | undefined {
  try {
    const { revision, image } = resolveStack(layout, { name });
    return { entry: requireRevision(layout, name, revision), image };
  } catch (error) {
    // The stack does not exist yet or is damaged. Build it in both cases.
    if (error instanceof StackshimError) return undefined;
    throw error;
  }
}

/** The config and content of an image, independent of when it was made. */
const toContent = ({ layers, config, architecture }: Image) => [layers, config, architecture];

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
