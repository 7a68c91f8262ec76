/** Builds a stack's image in the builder's storage and stores it. Changes no stack. */
import { rename } from 'node:fs/promises';
import { hasCode, StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { importOciLayout } from '../exchange/oci-image/import-oci-layout.ts';
import { type Image, type PinnedImage, STACK_LABELS } from '../store/images/image.ts';
import { resolveStack } from '../store/stacks/resolve-stack.ts';
import { pinInStore } from '../store/store-lease.ts';
import { readBoundedFile } from '../sys/files.ts';
import { type HostFacts, readHostFacts } from '../sys/host-facts.ts';
import { type BaseCopy, ensureBaseCopy } from './base-copy.ts';
import { OLDEST_EPOCH, setContextTimes } from './build-context.ts';
import { buildRootfs } from './build-rootfs.ts';
import { type Builder, runBuildah } from './builder.ts';
import { writeImageStores } from './builder-home.ts';
import { BUILT_TAG, type ExportOptions, exportBuiltImage } from './export-built-image.ts';
import type { StackSource } from './stack-source.ts';
import { type StepPlace, toStepOptions } from './step-options.ts';

/** The limits on open files and on processes of a build's step, lowered to this process's own limits. */
const MAX_OPEN_FILES = 65_536;
const MAX_PROCESSES = 65_536;
const MAX_ID_BYTES = 1024;

/** Returns the current image of each stack that the Dockerfile names. Throws ERR_STACKSHIM_STACK_NOT_FOUND, with a hint how to build the stack. */
export function resolveStacks(layout: Layout, source: StackSource): readonly PinnedImage[] {
  return source.stacks.all.map((name) => resolveNamed(layout, source, name));
}

function resolveNamed(layout: Layout, source: StackSource, name: StackName): PinnedImage {
  try {
    return resolveStack(layout, { name });
  } catch (cause) {
    if (!hasCode(cause, 'ERR_STACKSHIM_STACK_NOT_FOUND')) throw cause;
    const text = `build ${source.name}: its base ${name} is not a stored stack`;
    throw new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', text, {
      hint: `build the base first: stackshim stack build overlay/base/${name}`,
      details: { stack: source.name, base: name },
      cause,
    });
  }
}

/** Builds and imports the image. Returns it with the image that it was built on. Precondition: the caller holds a lease. */
export async function buildImage(
  layout: Layout,
  builder: Builder,
  source: StackSource,
  place: StepPlace,
): Promise<{ readonly image: Image; readonly base: PinnedImage | undefined }> {
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
  // Subtract one second: file times of the kernel lag a little behind the clock.
  const startedAt = Math.floor(Date.now() / 1000) - 1;
  const built = await runBuild({ ...builder, home }, source, place, base);
  builder.report({ kind: 'step', step: 'export', text: `export ${source.name}` });
  const directory = await exportBuiltImage({ ...builder, home }, { ...built, base, startedAt });
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

/** Pins and returns a stack's current image. Looks again after the pin: before it, the image may have been replaced and collected. */
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

async function runBuild(
  builder: Builder,
  source: StackSource,
  place: StepPlace,
  base: Image | undefined,
): Promise<Pick<ExportOptions, 'image' | 'epoch'>> {
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
    ...['build', ...toStepOptions(place, builder.home), '--pull=never', '--layers=false'],
    ...['--format', 'oci', '--identity-label=false', '--iidfile', idFile],
    ...['--signature-policy', builder.home.signaturePolicy],
    ...['--ulimit', toUlimit('nofile', 'RLIMIT_NOFILE', MAX_OPEN_FILES)],
    ...['--ulimit', toUlimit('nproc', 'RLIMIT_NPROC', MAX_PROCESSES)],
    ...shared,
    ...['--file', `${context.directory}/Dockerfile`, context.directory],
  ]);
  return { image: readBoundedFile(idFile, { maxBytes: MAX_ID_BYTES }).trim(), epoch };
}

/** Setting a limit above this process's own hard limit would fail. */
function toUlimit(name: string, resource: keyof HostFacts['hardLimits'], most: number): string {
  const value = Math.min(readHostFacts().hardLimits[resource] ?? most, most);
  return `${name}=${value}:${value}`;
}
