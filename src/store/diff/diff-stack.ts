/** Finds what differs between two revisions of one stack or of two: settings, packages and files, with sizes. */
import { lstatSync } from 'node:fs';
import type { ImageDigest, StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { StackReference } from '../../spec/task-spec.ts';
import { readBoundedFile } from '../../sys/files.ts';
import type { System } from '../../sys/system.ts';
import type { PinnedImage } from '../images/image.ts';
import { readLayerRecord } from '../layers/layer-record.ts';
import { resolveStack } from '../stacks/resolve-stack.ts';
import { findEarlierRevision } from '../stacks/rollback.ts';
import { collectFiles, type FileDiff, notShared } from './diff-files.ts';
import { compareSettings, type SettingChange, settingsOf } from './diff-settings.ts';
import { diffPackages, type PackageChange, parseDpkgStatus } from './dpkg-status.ts';
import { openImageViews } from './image-view.ts';
import { type DiffSummary, summariseDiff } from './summarise-diff.ts';

export interface DiffStackOptions {
  /** Default: the stored revision of the same stack, older than `after`, that was current last. */
  readonly before?: StackReference | undefined;
  readonly after: StackReference;
}

/** One side of a comparison. */
export interface DiffSide {
  readonly stack: StackName;
  readonly revision: number;
  readonly image: ImageDigest;
  /** Size of its layers on disk. */
  readonly bytes: number;
}

/** What differs between two revisions. */
export interface StackDiff extends FileDiff {
  /** Same as `after.stack`; `from` is `before.revision`, `to` is `after.revision`. */
  readonly stack: StackName;
  readonly from: number;
  readonly to: number;
  readonly before: DiffSide;
  readonly after: DiffSide;
  readonly summary: DiffSummary;
  readonly settings: readonly SettingChange[];
  readonly packages: readonly PackageChange[];
}

const DPKG_STATUS = ['var', 'lib', 'dpkg', 'status'];
const MAX_STATUS_BYTES = 64 * 1024 * 1024;

/**
 * Compares the content of two revisions; file times do not count. Needs root; blocks for the whole comparison. Throws
 * ERR_STACKSHIM_STACK_NOT_FOUND, ERR_STACKSHIM_LAYER_CORRUPT, ERR_STACKSHIM_LAYER_TOO_LARGE.
 */
export function diffStack(layout: Layout, system: System, options: DiffStackOptions): StackDiff {
  const after = resolveStack(layout, options.after);
  const { stack, revision: to } = after;
  const earlier = () => ({ name: stack, revision: findEarlierRevision(layout, stack, to) });
  const before = resolveStack(layout, options.before ?? earlier());
  const views = openImageViews(system, layout);
  try {
    const [one, other] = [views.image(before.image), views.image(after.image)];
    const layers = notShared(before.image, after.image).map(views.layer);
    const files = collectFiles({ before: one, after: other, layers });
    const packages = diffPackages(readPackages(one), readPackages(other));
    const [was, is] = [settingsOf(before.image.config), settingsOf(after.image.config)];
    const settings = compareSettings(was, is);
    const sides = { before: toSide(layout, before), after: toSide(layout, after) };
    const summary = summariseDiff(packages, settings);
    return { stack, from: before.revision, to, ...sides, summary, settings, packages, ...files };
  } finally {
    views.close();
  }
}

const toSide = (layout: Layout, { stack, revision, image }: PinnedImage): DiffSide => ({
  stack,
  revision,
  image: image.digest,
  bytes: image.layers.reduce((sum, id) => sum + readLayerRecord(layout, id).sizeBytes, 0),
});

/** Reads the installed packages; empty if the image is not based on Debian. */
function readPackages(root: string): ReturnType<typeof parseDpkgStatus> {
  let path = root;
  for (const [index, name] of DPKG_STATUS.entries()) {
    path += `/${name}`;
    const stats = lstatSync(path, { throwIfNoEntry: false });
    // Refuse links: a link here would lead out of the image.
    const isLast = index === DPKG_STATUS.length - 1;
    if (!(isLast ? stats?.isFile() : stats?.isDirectory())) return new Map();
  }
  if (lstatSync(path).size > MAX_STATUS_BYTES) return new Map();
  return parseDpkgStatus(readBoundedFile(path, { maxBytes: MAX_STATUS_BYTES }));
}
