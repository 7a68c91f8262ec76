/** `packages/<tenant>/<name>/removed.json`: the numbers of removed revisions, so that none is used twice. */
import { type Layout, packageDir } from '../../core/layout.ts';
import { objectOf } from '../../core/read-fields.ts';
import {
  FORMAT_VERSION,
  number,
  readStoredJson,
  type StoredVersion,
  version,
} from '../stored-json.ts';
import { writeStoredJson } from '../write-stored-json.ts';
import type { PackageOwner } from './package.ts';

const reader = objectOf<{ readonly last: number } & StoredVersion>({ version, last: number });

const removedFile = (layout: Layout, { tenant, name }: PackageOwner) =>
  `${packageDir(layout, tenant, name)}/removed.json`;

/** The largest number of a removed revision of the package; 0 if none was removed. Throws ERR_STACKSHIM_PACKAGE_CORRUPT. */
export function readLastRemoved(layout: Layout, of: PackageOwner): number {
  const stored = readStoredJson(removedFile(layout, of), {
    reader,
    code: 'ERR_STACKSHIM_PACKAGE_CORRUPT',
    what: 'list of removed revisions',
  });
  return stored?.last ?? 0;
}

/** Stores durably that numbers up to `last` are used up. Precondition: the caller holds the stacks lock. */
export async function writeLastRemoved(
  layout: Layout,
  of: PackageOwner,
  last: number,
): Promise<void> {
  if (readLastRemoved(layout, of) >= last) return;
  await writeStoredJson(removedFile(layout, of), { version: FORMAT_VERSION, last });
}
