/** From a folder with a Dockerfile to a stack's new current revision: build, import, smoke, flip. */
import { createHash } from 'node:crypto';
import { StackshimError } from '../core/errors.ts';
import type { ImageDigest, StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { readSoundRecord } from '../layers/layer-record.ts';
import { withHeldStore } from '../layers/store-lease.ts';
import { flipStacks } from '../stacks/flip-stacks.ts';
import type { Image, PinnedImage } from '../stacks/image.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import {
  addRevision,
  type Revision,
  removeRevision,
  requireRevision,
} from '../stacks/revisions.ts';
import type { System } from '../sys/system.ts';
import type { TaskResult } from '../task/result.ts';
import { abortable } from './build-aborted.ts';
import { buildImage, resolveBase, toBuilderName } from './build-image.ts';
import { type BuildStep, type ProgressListener, toReporter } from './build-progress.ts';
import { type Builder, runBuildah } from './builder.ts';
import { prepareBuilderHome, removeBuilderWork } from './builder-home.ts';
import { takeBuilderLock } from './builder-lock.ts';
import { parseSmokeCommand, runSmoke, type SmokeRunner } from './smoke.ts';
import { readStackDirectory, type StackDirectory } from './stack-directory.ts';

export interface BuildStackOptions {
  readonly system: System;
  /** Runs the smoke command as a real task. */
  readonly runSmoke: SmokeRunner;
  /** Wall time of the smoke command. Default 2 minutes. */
  readonly smokeTimeoutMs?: number;
  /** Do nothing when the current revision was built from the same files on the same base, and is whole. */
  readonly ifChanged?: boolean;
  /** Build, but make no revision where the image is the current one again: nothing that it is made of has changed. */
  readonly ifDifferent?: boolean;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
  /** How long to wait for another build to end. Default 10 minutes. */
  readonly lockWaitMs?: number;
  /** Time of the new revision. Default: the machine's clock, when it is made. */
  readonly clock?: () => Date;
  /** Where proxies are named. Default: this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface BuildResult {
  readonly status: 'built' | 'unchanged';
  readonly stack: StackName;
  /** The current revision now. */
  readonly revision: number;
  readonly image: ImageDigest;
  /** The result of the smoke command; null when there is no new revision. */
  readonly smoke: TaskResult | null;
}

/** Counted up when the same folder would now give another image. */
const BUILDER_FORMAT = 1;
const DEFAULT_SMOKE_TIMEOUT_MS = 120_000;

/**
 * Builds the folder and makes the result the current revision of the stack that is called like the folder.
 * Until the last step nothing that was there before changes; failing or killed, it leaves the stack as it was, and the
 * next build clears away what this one left. One build at a time for each root folder; others wait.
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
    const source = await readStackDirectory(directory);
    const { system, signal, lockWaitMs } = options;
    const lock = await takeBuilderLock(layout, system, {
      ...(lockWaitMs === undefined ? {} : { waitMs: lockWaitMs }),
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      const inputHash = hashInputs(layout, source);
      const unchanged = options.ifChanged ? findUnchanged(layout, source, inputHash) : undefined;
      if (unchanged !== undefined) return unchanged;
      const report = toReporter(options.onProgress);
      report({ kind: 'step', step: 'clean', text: 'clear what an earlier build left' });
      const home = await prepareBuilderHome(layout, options.env ?? process.env);
      const builder: Builder = { system, lock, home, report, signal };
      try {
        const build = { source, inputHash, options };
        return await withHeldStore(layout, system, () => buildLocked(layout, builder, build));
      } finally {
        await removeBuilderWork(home);
      }
    } finally {
      lock.release();
    }
  });
}

interface Build {
  readonly source: StackDirectory;
  readonly inputHash: string;
  readonly options: BuildStackOptions;
}

async function buildLocked(layout: Layout, builder: Builder, build: Build): Promise<BuildResult> {
  const { source, inputHash, options } = build;
  await clearStorage(builder);
  const { image, builderId, base } = await buildImage(layout, builder, source);
  const same = options.ifDifferent ? findSame(layout, source, image) : undefined;
  if (same !== undefined) {
    await pruneStorage(builder, 'clean');
    return same;
  }
  const command = parseSmokeCommand(image);
  const now = options.clock ?? (() => new Date());
  const revision = await addRevision(layout, builder.system, {
    stack: source.name,
    image: image.digest,
    source: { kind: 'build', directory: source.path, inputHash, ...toBaseReference(base) },
    now: now(),
  });
  try {
    const smoke = await smokeRevision(builder, revision, { command, options });
    if (source.definition !== undefined) {
      await runBuildah(builder, 'flip', ['tag', builderId, toBuilderName(source.name)]);
    }
    // Not by its id: that of a stack which adds nothing to its base is the base's.
    await pruneStorage(builder, 'flip');
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
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

/** Working containers and untagged images of builds that did not end well. */
async function clearStorage(builder: Builder): Promise<void> {
  await runBuildah(builder, 'clean', ['rm', '--all']);
  await pruneStorage(builder, 'clean');
}

/** Removes the images that have no name: bases have one. */
async function pruneStorage(builder: Builder, step: BuildStep): Promise<void> {
  await runBuildah(builder, step, ['rmi', '--prune', '--force']);
}

function hashInputs(layout: Layout, source: StackDirectory): string {
  const base = resolveBase(layout, source)?.image.digest ?? null;
  return createHash('sha256')
    .update(JSON.stringify([BUILDER_FORMAT, source.filesHash, base]))
    .digest('hex');
}

function findUnchanged(
  layout: Layout,
  source: StackDirectory,
  inputHash: string,
): BuildResult | undefined {
  const current = findCurrent(layout, source.name);
  if (current === undefined) return undefined;
  const { entry, image } = current;
  const same = entry.source.kind === 'build' && entry.source.inputHash === inputHash;
  return same && isWhole(layout, image) ? toResult('unchanged', entry, null) : undefined;
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
function findSame(layout: Layout, source: StackDirectory, built: Image): BuildResult | undefined {
  const current = findCurrent(layout, source.name);
  if (current === undefined) return undefined;
  const told = ({ layers, config, architecture }: Image) =>
    JSON.stringify([layers, config, architecture]);
  return told(current.image) === told(built)
    ? toResult('unchanged', current.entry, null)
    : undefined;
}

const toBaseReference = (base: PinnedImage | undefined) =>
  base === undefined ? {} : { base: { stack: base.stack, revision: base.revision } };

const isWhole = (layout: Layout, image: Image) =>
  image.layers.every((id) => readSoundRecord(layout, id) !== undefined);

const toResult = (
  status: BuildResult['status'],
  { stack, revision, image }: Revision,
  smoke: TaskResult | null,
): BuildResult => ({ status, stack, revision, image, smoke });
