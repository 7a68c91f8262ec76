/** Finds the settings and files that differ between two revisions of a code package. */
import type { ImageDigest, TenantName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { PackageSettings } from '../../spec/package-settings.ts';
import type { PackageReference } from '../../spec/task-spec.ts';
import type { System } from '../../sys/system.ts';
import { collectFiles, type FileDiff, notShared } from '../diff/diff-files.ts';
import { compareSettings, type SettingChange } from '../diff/diff-settings.ts';
import { openImageViews } from '../diff/image-view.ts';
import { findEarlierRevision } from './change-packages.ts';
import type { PackageOwner } from './package.ts';
import { resolvePackage } from './resolve-package.ts';

/** The differences between two revisions of a code package. */
export interface PackageDiff extends PackageOwner, FileDiff {
  readonly from: number;
  readonly to: number;
  readonly before: ImageDigest;
  readonly after: ImageDigest;
  readonly settings: readonly SettingChange[];
}

interface DiffPackageOptions {
  readonly tenant: TenantName | null;
  /** Default: the newest stored revision older than `to`. */
  readonly from?: number | undefined;
  readonly to: PackageReference;
}

/** Blocks for the whole comparison. Throws like `resolvePackage`, ERR_STACKSHIM_LAYER_CORRUPT, ERR_STACKSHIM_LAYER_TOO_LARGE. */
export function diffPackage(
  layout: Layout,
  system: System,
  { tenant, from, to }: DiffPackageOptions,
): PackageDiff {
  const after = resolvePackage(layout, to, tenant);
  const { name } = after;
  const revision = from ?? findEarlierRevision(layout, { name, tenant }, after.revision);
  const before = resolvePackage(layout, { name, revision }, tenant);
  const views = openImageViews(system, layout);
  try {
    const [one, other] = [views.image(before.image), views.image(after.image)];
    const layers = notShared(before.image, after.image).map(views.layer);
    return {
      ...{ name, tenant, from: revision, to: after.revision },
      ...{ before: before.image.digest, after: after.image.digest },
      settings: compareSettings(toTexts(before.settings), toTexts(after.settings)),
      ...collectFiles({ before: one, after: other, layers }),
    };
  } finally {
    views.close();
  }
}

/** Flattens the settings: each variable and each limit is a setting. */
function toTexts({ env = {}, limits = {}, ...others }: PackageSettings): Map<string, string> {
  const toText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  const plain = Object.entries({ ...others, ...limits });
  return new Map([
    ...plain.map(([name, value]) => [name, toText(value)] as const),
    ...Object.entries(env).map(([name, value]) => [`env ${name}`, value] as const),
  ]);
}
