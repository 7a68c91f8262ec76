/** Resolves a reference to a code package, within the packages of one tenant, to its image and its settings. */
import { existsSync } from 'node:fs';
import { messageOf, StackshimError } from '../../core/errors.ts';
import { isPackageName, type TenantName } from '../../core/ids.ts';
import { type Layout, tenantPackagesDir } from '../../core/layout.ts';
import {
  CODE_LABEL,
  type PackageSettings,
  parseSettingsLabel,
} from '../../spec/package-settings.ts';
import type { PackageReference } from '../../spec/task-spec.ts';
import { namesIn } from '../../sys/files.ts';
import { type Image, readImage } from '../images/image.ts';
import { isNamed } from '../images/image-names.ts';
import { toNearNames } from '../stacks/near-names.ts';
import {
  type PackageOwner,
  type PackageRevision,
  type PinnedPackage,
  packageCurrentFile,
  readCurrentPackage,
  readPackageNumbers,
  readPackageRevision,
  requirePackageRevision,
} from './package.ts';

/**
 * The current revision, or the one that `reference` names, of a package of `tenant`; never a package of another tenant. Blocks for a few file
 * reads. Throws ERR_STACKSHIM_PACKAGE_NOT_FOUND (with similar names of the same tenant), ERR_STACKSHIM_PACKAGE_CORRUPT,
 * ERR_STACKSHIM_PACKAGE_INVALID, ERR_STACKSHIM_IMAGE_CORRUPT.
 */
export function resolvePackage(
  layout: Layout,
  reference: PackageReference,
  tenant: TenantName | null,
): PinnedPackage {
  const { name, revision, image: digest } = reference;
  const of = { name, tenant };
  const entry =
    digest === undefined
      ? findRevision(layout, of, revision)
      : findRevisionOfImage(layout, of, reference);
  const image = readImage(layout, entry.image);
  return { name, tenant, revision: entry.revision, image, settings: readSettings(image) };
}

/** The settings in an image's label. Throws ERR_STACKSHIM_PACKAGE_INVALID for an image that is no code package. */
export function readSettings(image: Image): PackageSettings {
  const label = image.config.labels[CODE_LABEL];
  try {
    if (label === undefined) throw new Error(`it has no label ${CODE_LABEL}`);
    return parseSettingsLabel(label);
  } catch (error) {
    const message = `read image ${image.digest}: not a code package: ${messageOf(error)}`;
    const details = { image: image.digest };
    throw new StackshimError('ERR_STACKSHIM_PACKAGE_INVALID', message, { details, cause: error });
  }
}

function findRevision(
  layout: Layout,
  of: PackageOwner,
  asked: number | undefined,
): PackageRevision {
  const current = readCurrentPackage(layout, of);
  if (current === undefined) throw toNotFound(layout, of);
  if (asked === undefined || asked === current.revision) {
    return requirePackageRevision(layout, of, current.revision);
  }
  const entry = readPackageRevision(layout, of, asked);
  if (entry !== undefined) return entry;
  throw toNoRevision(of, `no revision ${asked}`);
}

/** The current revision if its image has the digest, otherwise the newest one that has it. */
function findRevisionOfImage(
  layout: Layout,
  of: PackageOwner,
  { image }: PackageReference,
): PackageRevision {
  const current = readCurrentPackage(layout, of);
  if (current === undefined || image === undefined) throw toNotFound(layout, of);
  const numbers = readPackageNumbers(layout, of).reverse();
  const others: PackageRevision[] = [];
  for (const revision of [current.revision, ...numbers]) {
    const entry = readPackageRevision(layout, of, revision);
    if (entry?.image === image) return entry;
    if (entry !== undefined) others.push(entry);
  }
  // Other digests of the same image, such as that of a registry's manifest.
  const found = others.find((entry) => isNamed(layout, entry.image, image));
  if (found !== undefined) return found;
  throw toNoRevision(of, `no revision has the image ${image}`);
}

/** ERR_STACKSHIM_PACKAGE_NOT_FOUND. Tells nothing about packages of other tenants. */
export function toNotFound(layout: Layout, { name, tenant }: PackageOwner): StackshimError {
  const names = namesIn(tenantPackagesDir(layout, tenant))
    .filter(isPackageName)
    .filter((each) => existsSync(packageCurrentFile(layout, { tenant, name: each })));
  const near = toNearNames(name, names);
  const whose = tenant === null ? 'without a tenant' : `of tenant ${tenant}`;
  const option = tenant === null ? '' : ` --tenant ${tenant}`;
  const ls = `run stackshim code ls${option} to list the packages ${whose}`;
  const hint =
    near.length === 0
      ? `${ls}, or give a path: ./${name}`
      : `did you mean ${near.join(' or ')}? ${ls}`;
  const message = `find code package ${name}: there is none of this name ${whose}`;
  const details = { package: name, tenant, near };
  return new StackshimError('ERR_STACKSHIM_PACKAGE_NOT_FOUND', message, { hint, details });
}

/** @param reason `no revision 3` */
export const toNoRevision = ({ name, tenant }: PackageOwner, reason: string) =>
  new StackshimError('ERR_STACKSHIM_PACKAGE_NOT_FOUND', `find code package ${name}: ${reason}`, {
    hint: `run stackshim code history ${name} to list the revisions`,
    details: { package: name, tenant },
  });
