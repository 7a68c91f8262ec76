/** The types of the door's `code`: code packages. */
import type { AddedPackage, AddPackageOptions } from '../exchange/code-packages/add-package.ts';
import type { PulledPackage, PullPackageOptions } from '../exchange/code-packages/pull-package.ts';
import type { PushedPackage, PushPackageOptions } from '../exchange/code-packages/push-package.ts';
import type { PackageMove, RemovedPackage } from '../store/packages/change-packages.ts';
import type { PackageDiff } from '../store/packages/diff-package.ts';
import type {
  PackageDamageListener,
  PackageDetails,
  PackageHistoryEntry,
  PackageSummary,
} from '../store/packages/list-packages.ts';
import type { PinnedPackage } from '../store/packages/package.ts';
import type { Asked, RollbackTarget } from './stacks.ts';

/** The tenant whose packages are meant. */
export interface TenantChoice {
  /** Absent: the packages of tasks without a tenant. Equal names of two tenants are two packages. */
  readonly tenant?: string | undefined;
}

/** The revisions that `code.diff` compares. */
export interface PackageRange extends TenantChoice {
  readonly from?: number | undefined;
  /** Only for a reference without a revision of its own. */
  readonly to?: number | undefined;
}

/** Which packages `code.list` lists. */
export interface ListPackagesOptions extends TenantChoice {
  /** Whether to list the packages of all tenants. Excludes `tenant`. */
  readonly all?: boolean | undefined;
  /** Gets packages that cannot be read, which are left out. If absent, the first of them rejects. */
  readonly onDamage?: PackageDamageListener | undefined;
}

/**
 * The code packages of one installation. Names are plain text: `NAME`, and where a revision is allowed `NAME@rev:N` or `NAME@sha256:…`. A name
 * is looked up among the packages of one tenant only.
 */
export interface Code {
  /**
   * Makes a directory, `.tar.gz` or `.zip` the current revision of a package, unless the same code with the same settings is current. Absent
   * fields come from the `stackshim.json` in the code.
   */
  add(name: string, path: string, options?: AddPackageOptions): Promise<AddedPackage>;
  /** Resolves what a task of the package would use: the settings, and the image, to whose digest a job can be bound. */
  resolve(reference: string, options?: TenantChoice): Promise<PinnedPackage>;
  list(options?: ListPackagesOptions): Promise<readonly PackageSummary[]>;
  show(reference: string, options?: TenantChoice): Promise<PackageDetails>;
  history(name: string, options?: TenantChoice): Promise<readonly PackageHistoryEntry[]>;
  /** Compares two revisions: the one that the reference names (default: the current one), and `from` (default: the one before it). */
  diff(reference: string, range?: PackageRange): Promise<PackageDiff>;
  /** Copies a package to a registry. */
  push(
    reference: string,
    target: string,
    options?: Asked<PushPackageOptions, 'package' | 'tenant' | 'reference'> & TenantChoice,
  ): Promise<PushedPackage>;
  /**
   * Stores the image `docker://HOST/NAME@sha256:…` as a revision of a package, and refuses an image with another digest. However many callers
   * wait for an image, it is pulled once. The current revision stays, if there is one.
   */
  pull(
    name: string,
    source: string,
    options?: Asked<PullPackageOptions, 'name' | 'tenant' | 'reference'> & TenantChoice,
  ): Promise<PulledPackage>;
  rollback(name: string, target?: RollbackTarget & TenantChoice): Promise<PackageMove>;
  /** Removes packages with all their revisions. Running tasks keep theirs. */
  remove(names: readonly string[], options?: TenantChoice): Promise<readonly RemovedPackage[]>;
}
