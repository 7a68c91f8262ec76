/** The types of the door's `code`: code packages. */
import type { AddedPackage, AddPackageOptions } from '../exchange/code-packages/add-package.ts';
import type { PackageMove, RemovedPackage } from '../store/packages/change-packages.ts';
import type {
  PackageDamageListener,
  PackageDetails,
  PackageHistoryEntry,
  PackageSummary,
} from '../store/packages/list-packages.ts';
import type { PinnedPackage } from '../store/packages/package.ts';
import type { RollbackTarget } from './stacks.ts';

/** Whose packages. */
export interface TenantChoice {
  /** Absent: the packages of tasks without a tenant. Equal names of two tenants are two packages. */
  readonly tenant?: string | undefined;
}

/** Which packages `code.list` lists. */
export interface ListPackagesOptions extends TenantChoice {
  /** Whether to list the packages of all tenants. Excludes `tenant`. */
  readonly all?: boolean | undefined;
  /** Gets packages that cannot be read, which are then left out. Without it, the first one rejects. */
  readonly onDamage?: PackageDamageListener | undefined;
}

/**
 * The code packages of one installation. Names are plain text: `NAME`, or where a revision can be meant `NAME@rev:N` or `NAME@sha256:…`. A name is
 * looked up among the packages of one tenant only.
 */
export interface Code {
  /**
   * Makes a directory, `.tar.gz` or `.zip` the current revision of a package, unless the same code with the same settings is current. Fields
   * that are not given come from the `stackshim.json` in the code.
   */
  add(name: string, path: string, options?: AddPackageOptions): Promise<AddedPackage>;
  /** What a task of the package would use: the image, which a job can be bound to by its digest, and the settings. */
  resolve(reference: string, options?: TenantChoice): Promise<PinnedPackage>;
  list(options?: ListPackagesOptions): Promise<readonly PackageSummary[]>;
  show(reference: string, options?: TenantChoice): Promise<PackageDetails>;
  history(name: string, options?: TenantChoice): Promise<readonly PackageHistoryEntry[]>;
  rollback(name: string, target?: RollbackTarget & TenantChoice): Promise<PackageMove>;
  /** Removes packages with all their revisions. Running tasks keep theirs. */
  remove(names: readonly string[], options?: TenantChoice): Promise<readonly RemovedPackage[]>;
}
