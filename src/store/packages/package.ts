/**
 * Code packages: a tenant's programs, by name, each with its own revisions, of which one is current. A revision points at a stored image without a
 * base, whose layers are the code and the files that its build left. The files are `packages/<tenant>/<name>/<n>.json` and `current`.
 */
import {
  type BuildKey,
  type ImageDigest,
  isBuildKey,
  isPackageName,
  isTenantName,
  type PackageName,
  type TenantName,
} from '../../core/ids.ts';
import { type Layout, packageDir } from '../../core/layout.ts';
import {
  date,
  FieldFault,
  isObject,
  objectOf,
  oneOf,
  optional,
  orNull,
  type Reader,
  textThat,
} from '../../core/read-fields.ts';
import type { PackageSettings } from '../../spec/package-settings.ts';
import type { Image } from '../images/image.ts';
import type { NumberedFolder } from '../numbered-folder.ts';
import {
  imageDigest,
  line,
  number,
  readNumbers,
  readStoredJson,
  storedFields,
  toCorrupt,
} from '../stored-json.ts';

/** Identifies a package. `tenant` is null for packages of tasks without a tenant. Two tenants may have packages with the same name. */
export interface PackageOwner {
  readonly name: PackageName;
  readonly tenant: TenantName | null;
}

/** A directory or an archive on this machine. */
interface AddSource {
  readonly kind: 'add';
  /** The path that was added, for people. */
  readonly path: string;
  /** Digest of the code; file times do not count. */
  readonly content: string;
  /** The build that made the upper layer; absent if there is no such layer. */
  readonly build?: BuildKey | undefined;
}

/** An image from a registry. */
interface PullSource {
  readonly kind: 'pull';
  readonly reference: string;
}

/** The origin of a revision. */
export type PackageSource = AddSource | PullSource;

/** One immutable entry of a package's history. */
export interface PackageRevision extends PackageOwner {
  /** 1, 2, 3, … within its package. */
  readonly revision: number;
  /** Content digest, the same on every machine. */
  readonly image: ImageDigest;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly source: PackageSource;
}

export interface CurrentPackage {
  readonly revision: number;
  /** When it became current, ISO 8601, UTC. */
  readonly since: string;
}

/** The revision that a package's tasks run, resolved once. */
export interface PinnedPackage extends PackageOwner {
  readonly revision: number;
  readonly image: Image;
  readonly settings: PackageSettings;
}

const packageName = textThat<PackageName>(isPackageName, 'not the name of a code package');
const owner = orNull(textThat<TenantName>(isTenantName, 'not a tenant'));
const sha256 = (value: string) => /^[0-9a-f]{64}$/.test(value);

const addSource = objectOf<AddSource>({
  kind: oneOf('add'),
  path: line,
  content: textThat(sha256, 'not a sha256'),
  build: optional(textThat<BuildKey>(isBuildKey, 'not the key of a build')),
});
const pullSource = objectOf<PullSource>({ kind: oneOf('pull'), reference: line });

const source: Reader<PackageSource> = (value, field) => {
  const kind: unknown = isObject(value) ? Reflect.get(value, 'kind') : undefined;
  if (kind === 'add') return addSource(value, field);
  if (kind === 'pull') return pullSource(value, field);
  throw new FieldFault(field, 'neither added nor pulled');
};

const revisionReader = storedFields<PackageRevision>({
  name: packageName,
  tenant: owner,
  revision: number,
  image: imageDigest,
  createdAt: date,
  source,
});
const currentReader = storedFields<CurrentPackage>({ revision: number, since: date });

const code = 'ERR_STACKSHIM_PACKAGE_CORRUPT';
const OF_REVISION = { code, what: 'revision of code package' } as const;
const OF_CURRENT = { code, what: 'current revision of code package' } as const;

const folderOf = (layout: Layout, { tenant, name }: PackageOwner) =>
  packageDir(layout, tenant, name);

export const packageRevisionFile = (layout: Layout, of: PackageOwner, revision: number): string =>
  `${folderOf(layout, of)}/${revision}.json`;

export const packageCurrentFile = (layout: Layout, of: PackageOwner): string =>
  `${folderOf(layout, of)}/current`;

/** Reads a stored revision; undefined if the number does not exist. Throws ERR_STACKSHIM_PACKAGE_CORRUPT. */
export function readPackageRevision(
  layout: Layout,
  { name, tenant }: PackageOwner,
  revision: number,
): PackageRevision | undefined {
  const path = packageRevisionFile(layout, { name, tenant }, revision);
  const entry = readStoredJson(path, { ...OF_REVISION, reader: revisionReader });
  if (entry === undefined) return undefined;
  if (entry.name !== name || entry.tenant !== tenant || entry.revision !== revision) {
    const found = `${entry.name} revision ${entry.revision} of ${entry.tenant ?? 'no tenant'}`;
    throw toCorrupt(path, `contains ${found}`, OF_REVISION);
  }
  return entry;
}

/** Undefined if the package does not exist. Throws ERR_STACKSHIM_PACKAGE_CORRUPT. */
export const readCurrentPackage = (layout: Layout, of: PackageOwner): CurrentPackage | undefined =>
  readStoredJson(packageCurrentFile(layout, of), { ...OF_CURRENT, reader: currentReader });

/** Reads a revision that must exist, because `current` or a listing names it. Throws ERR_STACKSHIM_PACKAGE_CORRUPT. */
export function requirePackageRevision(
  layout: Layout,
  of: PackageOwner,
  revision: number,
): PackageRevision {
  const entry = readPackageRevision(layout, of, revision);
  if (entry !== undefined) return entry;
  throw toCorrupt(packageRevisionFile(layout, of, revision), 'missing', OF_REVISION);
}

export const packageFolder = (layout: Layout, of: PackageOwner): NumberedFolder => ({
  folder: folderOf(layout, of),
  owner: `code package ${of.name}`,
  code,
});

/** Numbers of the stored revisions, ascending. */
export const readPackageNumbers = (layout: Layout, of: PackageOwner): number[] =>
  readNumbers(folderOf(layout, of));
