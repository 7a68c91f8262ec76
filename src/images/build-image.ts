/** Builds the image of a stack's folder in the builder's storage and stores it here; no stack changes. */
import { rename } from 'node:fs/promises';
import { hasCode, StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { pinInStore } from '../layers/store-lease.ts';
import { type Image, type PinnedImage, STACK_LABELS } from '../stacks/image.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { type HostFacts, readHostFacts } from '../sys/host-facts.ts';
import { readBoundedFile } from '../sys/read-bounded-file.ts';
import { type BaseCopy, ensureBaseCopy } from './base-copy.ts';
import { OLDEST_EPOCH, setContextTimes } from './build-context.ts';
import { buildRootfs } from './build-rootfs.ts';
import { type Builder, runBuildah } from './builder.ts';
import { writeImageStores } from './builder-home.ts';
import { BUILT_TAG, exportBuiltImage } from './export-built-image.ts';
import { importOciLayout } from './import-oci-layout.ts';
import type { StackSource } from './stack-source.ts';
import { type StepPlace, toStepOptions } from './step-options.ts';

export interface BuiltImage {
  readonly image: Image;
  /** What it was built on. */
  readonly base: PinnedImage | undefined;
}

/** Most open files and processes that a build step may have: no more than we may ourselves. */
const MOST_OPEN_FILES = 65_536;
const MOST_PROCESSES = 65_536;
const MAX_ID_BYTES = 1024;

/** The current image of each stack that the Dockerfile names. Throws ERR_STACKSHIM_STACK_NOT_FOUND with how to build one. */
export function resolveStacks(layout: Layout, source: StackSource): readonly PinnedImage[] {
  return source.stacks.all.map((name) => resolveNamed(layout, source, name));
}

function resolveNamed(layout: Layout, source: StackSource, name: StackName): PinnedImage {
  try {
    return resolveStack(layout, { name });
  } catch (error) {
    const isMissing = hasCode(error, 'ERR_STACKSHIM_STACK_NOT_FOUND');
    throw isMissing ? toBaseMissing(source, name, error) : error;
  }
}

/** Builds and imports. The caller holds a lease. */
export async function buildImage(
  layout: Layout,
  builder: Builder,
  { source, place }: { readonly source: StackSource; readonly place: StepPlace },
): Promise<BuiltImage> {
  const stacks: PinnedImage[] = [];
  for (const name of source.stacks.all) stacks.push(await holdStack(layout, source, name));
  const copies: BaseCopy[] = [];
  for (const stack of stacks) copies.push(await ensureBaseCopy(layout, builder, stack));
  const pinned = stacks.find(({ stack }) => stack === source.stacks.base);
  const base = copies.find((_, index) => stacks[index] === pinned)?.image;
  const home = await writeImageStores(
    builder.home,
    copies.map(({ store }) => store),
  );
  // A second earlier: the kernel's file times lag behind the clock a little.
  const startedAt = Math.floor(Date.now() / 1000) - 1;
  const { builderId, epoch } = await runBuild({ ...builder, home }, { source, place, base });
  builder.report({ kind: 'step', step: 'export', text: `export ${source.name}` });
  const exporting = { image: builderId, base, startedAt, epoch };
  const directory = await exportBuiltImage({ ...builder, home }, exporting);
  builder.report({ kind: 'step', step: 'import', text: `import ${source.name}` });
  const image = await importOciLayout(layout, {
    system: builder.system,
    directory,
    tag: BUILT_TAG,
    isBuilt: true,
    onProgress: builder.report,
    base,
    signal: builder.signal,
  });
  return { image, base: pinned };
}

/**
 * The current image of a stack, pinned. The look comes after the pin: an image that was current when it was found may have been
 * replaced and collected by then; one that still is has been neither.
 */
async function holdStack(
  layout: Layout,
  source: StackSource,
  name: StackName,
): Promise<PinnedImage> {
  for (let found = resolveNamed(layout, source, name); ; ) {
    const { digest, layers } = found.image;
    for (const part of [digest, ...layers]) await pinInStore(layout, part);
    const now = resolveNamed(layout, source, name);
    if (now.image.digest === digest) return now;
    found = now;
  }
}

interface BuildRun {
  readonly source: StackSource;
  readonly place: StepPlace;
  readonly base: Image | undefined;
}

async function runBuild(
  builder: Builder,
  { source, place, base }: BuildRun,
): Promise<{ readonly builderId: string; readonly epoch: number | undefined }> {
  const { work } = builder.home;
  let epoch: number | undefined;
  const rootfs = `${work}/rootfs.tar`;
  const debian = source.definition?.debian;
  if (debian !== undefined) {
    builder.report({ kind: 'step', step: 'rootfs', text: `make Debian ${debian.suite}` });
    epoch = await buildRootfs(builder, debian, rootfs);
  }
  const contextEpoch = epoch ?? Number(base?.config.labels[STACK_LABELS.epoch] ?? OLDEST_EPOCH);
  const { context } = source;
  await setContextTimes(context, contextEpoch);
  if (epoch !== undefined) await rename(rootfs, `${context.directory}/rootfs.tar`);
  const shared =
    context.shared === undefined ? [] : ['--build-context', `shared=${context.shared}`];
  const idFile = `${work}/image-id`;
  builder.report({ kind: 'step', step: 'build', text: `build ${source.name}` });
  const locks = [...builder.locks, place.lock];
  await runBuildah({ ...builder, locks }, 'build', [
    ...['build', ...toStepOptions(place), '--pull=never', '--layers=false'],
    ...['--format', 'oci', '--identity-label=false', '--iidfile', idFile],
    ...['--signature-policy', builder.home.signaturePolicy],
    ...['--ulimit', toUlimit('nofile', 'RLIMIT_NOFILE', MOST_OPEN_FILES)],
    ...['--ulimit', toUlimit('nproc', 'RLIMIT_NPROC', MOST_PROCESSES)],
    ...shared,
    ...['--file', `${context.directory}/Dockerfile`, context.directory],
  ]);
  return { builderId: readBoundedFile(idFile, { maxBytes: MAX_ID_BYTES }).trim(), epoch };
}

/** A limit above our own hard one could not be set. */
function toUlimit(name: string, resource: keyof HostFacts['hardLimits'], most: number): string {
  const value = Math.min(readHostFacts().hardLimits[resource] ?? most, most);
  return `${name}=${value}:${value}`;
}

function toBaseMissing(source: StackSource, base: StackName, cause: unknown): StackshimError {
  return new StackshimError(
    'ERR_STACKSHIM_STACK_NOT_FOUND',
    `build ${source.name}: its base ${base} is not a stored stack`,
    {
      hint: `build the base first: stackshim stack build overlay/base/${base}`,
      details: { stack: source.name, base },
      cause,
    },
  );
}
