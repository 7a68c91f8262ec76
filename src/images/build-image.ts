/** Builds the image of a stack's folder in the builder's storage and stores it here; no stack changes. */
import { readFile, rename } from 'node:fs/promises';
import { StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { type Image, type PinnedImage, STACK_LABELS } from '../stacks/image.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { type HostFacts, readHostFacts } from '../sys/host-facts.ts';
import { copyBuildContext, OLDEST_EPOCH } from './build-context.ts';
import { buildRootfs } from './build-rootfs.ts';
import { type Builder, runBuildah } from './builder.ts';
import { BUILT_TAG, exportBuiltImage } from './export-built-image.ts';
import { importOciLayout } from './import-oci-layout.ts';
import type { StackDirectory } from './stack-directory.ts';

export interface BuiltImage {
  readonly image: Image;
  /** The builder's own id of it. */
  readonly builderId: string;
  /** What it was built on. */
  readonly base: PinnedImage | undefined;
}

/** Most open files and processes that a build step may have: no more than we may ourselves. */
const MOST_OPEN_FILES = 65_536;
const MOST_PROCESSES = 65_536;

/** The name under which the builder keeps a base: what stacks say after `FROM`. */
export const toBuilderName = (base: StackName) => `localhost/${base}`;

/** The current image of what a stack stands on. Throws ERR_STACKSHIM_STACK_NOT_FOUND with how to build it. */
export function resolveBase(layout: Layout, source: StackDirectory): PinnedImage | undefined {
  const { base } = source;
  if (base === undefined) return undefined;
  try {
    return resolveStack(layout, { name: base });
  } catch (error) {
    if (!(error instanceof StackshimError) || error.code !== 'ERR_STACKSHIM_STACK_NOT_FOUND')
      throw error;
    throw toBaseMissing(source, base, error);
  }
}

/** Builds and imports. The image also stays in the builder's storage, untagged. */
export async function buildImage(
  layout: Layout,
  builder: Builder,
  source: StackDirectory,
): Promise<BuiltImage> {
  const pinned = resolveBase(layout, source);
  const base = pinned?.image;
  if (source.base !== undefined) await requireBuilderImage(builder, source, source.base);
  // A second earlier: the kernel's file times lag behind the clock a little.
  const startedAt = Math.floor(Date.now() / 1000) - 1;
  const { builderId, epoch } = await runBuild(builder, source, base);
  builder.report({ kind: 'step', step: 'export', text: `export ${source.name}` });
  const directory = await exportBuiltImage(builder, { image: builderId, base, startedAt, epoch });
  builder.report({ kind: 'step', step: 'import', text: `import ${source.name}` });
  const image = await importOciLayout(layout, {
    directory,
    tag: BUILT_TAG,
    onProgress: builder.report,
    ...(base === undefined ? {} : { base }),
    ...(builder.signal === undefined ? {} : { signal: builder.signal }),
  });
  return { image, builderId, base: pinned };
}

async function runBuild(
  builder: Builder,
  source: StackDirectory,
  base: Image | undefined,
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
  const context = await copyBuildContext(source, work, contextEpoch);
  if (epoch !== undefined) await rename(rootfs, `${context.directory}/rootfs.tar`);
  const shared =
    context.shared === undefined ? [] : ['--build-context', `shared=${context.shared}`];
  const idFile = `${work}/image-id`;
  builder.report({ kind: 'step', step: 'build', text: `build ${source.name}` });
  await runBuildah(builder, 'build', [
    ...['build', '--isolation', 'chroot', '--network', 'host', '--pull=never', '--layers=false'],
    ...['--format', 'oci', '--identity-label=false', '--iidfile', idFile],
    ...['--signature-policy', builder.home.signaturePolicy],
    ...['--ulimit', toUlimit('nofile', 'RLIMIT_NOFILE', MOST_OPEN_FILES)],
    ...['--ulimit', toUlimit('nproc', 'RLIMIT_NPROC', MOST_PROCESSES)],
    ...shared,
    ...['--file', `${context.directory}/Dockerfile`, context.directory],
  ]);
  return { builderId: (await readFile(idFile, 'utf8')).trim(), epoch };
}

/** A limit above our own hard one could not be set. */
function toUlimit(name: string, resource: keyof HostFacts['hardLimits'], most: number): string {
  const value = Math.min(readHostFacts().hardLimits[resource] ?? most, most);
  return `${name}=${value}:${value}`;
}

async function requireBuilderImage(
  builder: Builder,
  source: StackDirectory,
  base: StackName,
): Promise<void> {
  try {
    await runBuildah(builder, 'clean', [
      'inspect',
      '--type',
      'image',
      '--format',
      '{{.FromImageID}}',
      toBuilderName(base),
    ]);
  } catch (error) {
    if (!(error instanceof StackshimError) || error.code !== 'ERR_STACKSHIM_BUILD_FAILED')
      throw error;
    throw toBaseMissing(source, base, error);
  }
}

function toBaseMissing(source: StackDirectory, base: StackName, cause: unknown): StackshimError {
  return new StackshimError(
    'ERR_STACKSHIM_STACK_NOT_FOUND',
    `build ${source.name}: its base ${base} has not been built here`,
    {
      hint: `build it first: stackshim stack build overlay/base/${base}`,
      details: { stack: source.name, base },
      cause,
    },
  );
}
