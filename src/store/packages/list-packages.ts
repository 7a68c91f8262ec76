/** Describes code packages as plain data, for people and programs. */
import type { StackshimError } from '../../core/errors.ts';
import {
  type ImageDigest,
  isPackageName,
  isTenantName,
  type LayerId,
  type TenantName,
} from '../../core/ids.ts';
import { type Layout, NO_TENANT, packagesDir, tenantPackagesDir } from '../../core/layout.ts';
import type { PackageSettings } from '../../spec/package-settings.ts';
import type { PackageReference } from '../../spec/task-spec.ts';
import { namesIn } from '../../sys/files.ts';
import { readImage } from '../images/image.ts';
import { sizeOfLayer } from '../layers/list-layers.ts';
import { throwDamage } from '../stacks/current-stacks.ts';
import { unlessDamaged } from '../stored-json.ts';
import {
  type PackageOwner,
  type PackageSource,
  readCurrentPackage,
  readPackageNumbers,
  requirePackageRevision,
} from './package.ts';
import { readSettings, resolvePackage, toNotFound } from './resolve-package.ts';

/** A package and its current revision. */
export interface PackageSummary extends PackageOwner {
  /** The current revision. */
  readonly revision: number;
  readonly image: ImageDigest;
  /** The stack in its settings; null if its tasks name the stack. */
  readonly stack: string | null;
  /** Creation time of the revision, ISO 8601. */
  readonly createdAt: string;
  /** Total size of its layers. */
  readonly sizeBytes: number;
}

/** A layer of a package. */
export interface PackageLayer {
  readonly id: LayerId;
  /** Size of the EROFS file; null if it is missing. */
  readonly sizeBytes: number | null;
}

/** All facts about one revision of a package. */
export interface PackageDetails extends PackageSummary {
  readonly settings: PackageSettings;
  /** Lowest first: the code, and the layer that its build left, if any. */
  readonly layers: readonly PackageLayer[];
  readonly architecture: string;
  readonly source: PackageSource;
  /** Numbers of all stored revisions, ascending. */
  readonly revisions: readonly number[];
}

/** A revision of a package. */
export interface PackageHistoryEntry {
  readonly revision: number;
  readonly isCurrent: boolean;
  readonly image: ImageDigest;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Time since which the revision is current, ISO 8601; null if it is not current. */
  readonly currentSince: string | null;
  readonly source: PackageSource;
}

/** Handles a package that cannot be read. */
export type PackageDamageListener = (error: StackshimError, of: PackageOwner) => void;

/** Lists every package with a folder, current revision or not, sorted: of one tenant, or of all (`undefined`). */
export function listPackageOwners(
  layout: Layout,
  tenant?: TenantName | null | undefined,
): readonly PackageOwner[] {
  const folders = tenant === undefined ? namesIn(packagesDir(layout)).toSorted() : [];
  const found = folders.flatMap((name) => {
    if (name === NO_TENANT) return [null];
    return isTenantName(name) ? [name] : [];
  });
  return (tenant === undefined ? found : [tenant]).flatMap((each) =>
    namesIn(tenantPackagesDir(layout, each))
      .filter(isPackageName)
      .sort()
      .map((name) => ({ name, tenant: each })),
  );
}

/**
 * Lists packages with a current revision: of a tenant, without a tenant (null), or all (undefined). A damaged package is reported to `onDamage` and
 * left out; without a listener, throws like `resolvePackage`.
 */
export function listPackages(
  layout: Layout,
  tenant?: TenantName | null | undefined,
  onDamage: PackageDamageListener = throwDamage,
): readonly PackageSummary[] {
  return listPackageOwners(layout, tenant).flatMap((of) => {
    const read = () => {
      const current = readCurrentPackage(layout, of);
      return current === undefined ? [] : summarise(layout, of, current.revision);
    };
    return unlessDamaged(read, (error) => onDamage(error, of)) ?? [];
  });
}

function summarise(layout: Layout, of: PackageOwner, revision: number): PackageSummary {
  const { image: digest, createdAt } = requirePackageRevision(layout, of, revision);
  const image = readImage(layout, digest);
  const { stack = null } = readSettings(image);
  const sizes = image.layers.map((id) => sizeOfLayer(layout, id) ?? 0);
  const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
  return { ...of, revision, image: digest, stack, createdAt, sizeBytes };
}

/** Describes the current revision, or the revision that `reference` names. Throws like `resolvePackage`. */
export function showPackage(
  layout: Layout,
  reference: PackageReference,
  tenant: TenantName | null,
): PackageDetails {
  const { name, revision, image, settings } = resolvePackage(layout, reference, tenant);
  const of = { name, tenant };
  return {
    ...summarise(layout, of, revision),
    settings,
    layers: image.layers.map((id) => ({ id, sizeBytes: sizeOfLayer(layout, id) ?? null })),
    architecture: image.architecture,
    source: requirePackageRevision(layout, of, revision).source,
    revisions: readPackageNumbers(layout, of),
  };
}

/** Every stored revision of a package, newest first. Throws ERR_STACKSHIM_PACKAGE_NOT_FOUND, ERR_STACKSHIM_PACKAGE_CORRUPT. */
export function readPackageHistory(
  layout: Layout,
  of: PackageOwner,
): readonly PackageHistoryEntry[] {
  const current = readCurrentPackage(layout, of);
  if (current === undefined) throw toNotFound(layout, of);
  return readPackageNumbers(layout, of)
    .reverse()
    .map((number) => {
      const { revision, image, createdAt, source } = requirePackageRevision(layout, of, number);
      const isCurrent = revision === current.revision;
      const currentSince = isCurrent ? current.since : null;
      return { revision, isCurrent, image, createdAt, currentSince, source };
    });
}
