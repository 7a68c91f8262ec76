/** Stored images, unpacked for the builder to build on: `build/bases/<stack>.<hex>/`. Each is a storage that is complete and only read. */
import { renameSync } from 'node:fs';
import { open, rename, rm, writeFile } from 'node:fs/promises';
import { errnoCodeOf, StackshimError, unlessMissing } from '../core/errors.ts';
import type { ImageDigest, StackName } from '../core/ids.ts';
import { buildDir, type Layout, tmpDir } from '../core/layout.ts';
import { listOf } from '../core/read-fields.ts';
import { writeImageArchive } from '../exchange/archives/write-image-archive.ts';
import type { Image, PinnedImage } from '../store/images/image.ts';
import { revisionIn } from '../store/stacks/generations.ts';
import { temporaryPath } from '../store/stale-files.ts';
import { imageDigest } from '../store/stored-json.ts';
import type { StoreSurvey } from '../store/survey-store.ts';
import { namesIn, readBoundedFile } from '../sys/files.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { ensureClosedFolder } from '../sys/trusted-path.ts';
import { ensureDirectory } from '../sys/write-file.ts';
import { type Builder, runInBuilder } from './builder.ts';

export interface BaseCopy {
  /** The storage's folder. Its only image is `localhost/<stack>`. */
  readonly store: string;
  /** The stored image, with the DiffIDs that the builder knows: packing a layer again changes its DiffID. */
  readonly image: Image;
}

const DIFF_IDS = 'diff-ids.json';
const MAX_DIFF_IDS_BYTES = 64 * 1024;
const readDigests = listOf(imageDigest);

const baseCopiesDir = (layout: Layout) => `${buildDir(layout)}/bases`;

const toCopyName = (stack: StackName, image: ImageDigest) =>
  `${stack}.${image.slice('sha256:'.length)}`;

/**
 * Returns the copy of a stack's image; the first build on the image makes it. Precondition: the caller has pinned the image and its layers.
 * Throws ERR_STACKSHIM_LAYER_CORRUPT, ERR_STACKSHIM_DISK_FULL, and the errors of `runContained`.
 */
export async function ensureBaseCopy(
  layout: Layout,
  builder: Builder,
  pinned: PinnedImage,
): Promise<BaseCopy> {
  const { stack, image } = pinned;
  const store = `${baseCopiesDir(layout)}/${toCopyName(stack, image.digest)}`;
  const diffIds = readDiffIds(store) ?? (await makeCopy(layout, builder, pinned, store));
  return { store, image: { ...image, diffIds } };
}

async function makeCopy(
  layout: Layout,
  builder: Builder,
  pinned: PinnedImage,
  store: string,
): Promise<readonly string[]> {
  const { stack } = pinned;
  builder.report({ kind: 'step', step: 'base', text: `unpack ${stack} to build on` });
  const { work } = builder.home;
  const [archive, made] = [`${work}/base.tar`, `${work}/base`];
  const diffIds = await guardDisk(`write ${archive}`, () =>
    packImage(layout, builder, pinned, archive),
  );
  const quiet: Builder = { ...builder, report: () => undefined };
  const storage = ['--root', made, '--runroot', `${work}/base-run`];
  const policy = ['--signature-policy', builder.home.signaturePolicy];
  const pull = ['pull', '--quiet', ...policy, `oci-archive:${archive}`];
  await runInBuilder(quiet, 'base', ['buildah', ...storage, ...pull]);
  await rm(archive);
  await guardDisk(`write ${store}`, async () => {
    await writeFile(`${made}/${DIFF_IDS}`, JSON.stringify(diffIds));
    // The builder does not sync. After a power cut, an incomplete copy would be taken for the base.
    await runInBuilder(quiet, 'base', ['sync', '--file-system', made]);
    ensureClosedFolder(baseCopiesDir(layout));
    await moveUnlessThere(made, store);
  });
  return diffIds;
}

async function packImage(
  layout: Layout,
  builder: Builder,
  { image, stack }: PinnedImage,
  archive: string,
): Promise<readonly string[]> {
  const { system, report, signal } = builder;
  const file = await open(archive, 'wx', 0o600);
  try {
    const reference = `localhost/${stack}:latest`;
    const content = { image, reference, system, report, signal };
    return (await writeImageArchive(layout, file, content)).diffIds;
  } finally {
    await file.close();
  }
}

/** Moves the copy into place. If a concurrent build was faster, its copy stays and this one is removed. */
async function moveUnlessThere(made: string, store: string): Promise<void> {
  try {
    await rename(made, store);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(errnoCodeOf(error) ?? '')) throw error;
    await removeTree(made);
  }
}

function readDiffIds(store: string): readonly string[] | undefined {
  const path = `${store}/${DIFF_IDS}`;
  const text = unlessMissing(() => readBoundedFile(path, { maxBytes: MAX_DIFF_IDS_BYTES }));
  if (text === undefined) return undefined;
  try {
    return readDigests(JSON.parse(text), 'DiffIDs');
  } catch (error) {
    throw new StackshimError('ERR_STACKSHIM_BUILD_FAILED', `read ${path}: not a list of DiffIDs`, {
      hint: `remove ${store}; the next build creates it again`,
      cause: error,
    });
  }
}

/** Returns the folders of copies whose images are neither current nor pinned: a build may be about to use a pinned one. */
export function findUnneededCopies(
  layout: Layout,
  { generation, revisions }: StoreSurvey,
  pinned: ReadonlySet<string>,
): readonly string[] {
  const current = revisions.filter((one) => revisionIn(generation, one.stack) === one.revision);
  const needed = new Set(current.map(({ stack, image }) => toCopyName(stack, image)));
  return namesIn(baseCopiesDir(layout))
    .filter((name) => !needed.has(name) && !pinned.has(`sha256:${name.split('.').at(-1)}`))
    .map((name) => `${baseCopiesDir(layout)}/${name}`);
}

/** Moves the folders away, so that builds no longer see them. The caller removes the returned paths. */
export async function moveCopiesAway(
  layout: Layout,
  folders: readonly string[],
): Promise<readonly string[]> {
  if (folders.length > 0) await ensureDirectory(tmpDir(layout), 0o700);
  return folders.map((folder) => {
    const moved = temporaryPath(layout, '.base');
    renameSync(folder, moved);
    return moved;
  });
}
