/** `stackshim code show`: shows everything about a code package. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { PackageDetails } from '../../store/packages/list-packages.ts';
import type { TenantOption } from '../define/shared-options.ts';
import { formatBytes } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson } from '../print/print.ts';
import { toSourceText } from './code-history.ts';

export async function codeShow(name: string, { tenant, json }: TenantOption): Promise<void> {
  const found = await openDoor().code.show(name, { tenant });
  await (json ? printJson(found) : print(formatPackage(found)));
}

function formatPackage(found: PackageDetails): string {
  const { settings, revisions, layers, source } = found;
  const facts = formatTable(
    ['PACKAGE', found.name],
    [
      ['tenant', found.tenant ?? '-'],
      ['revision', `${found.revision} of ${revisions.join(', ')}`],
      ['image', found.image],
      ['created', found.createdAt],
      ['source', toSourceText(source)],
      ['architecture', found.architecture],
      ...Object.entries(settings).flatMap(([name, value]) => toRows(name, value)),
    ],
    { wrap: true },
  );
  const table = formatTable(
    ['LAYER', 'SIZE'],
    layers.map(({ id, sizeBytes }) => [
      id,
      sizeBytes === null ? 'missing' : formatBytes(sizeBytes),
    ]),
  );
  return `${facts}\n${table}`;
}

/** One row for each variable and each limit. */
function toRows(name: string, value: unknown): readonly (readonly [string, string])[] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value).map(([key, one]) => [name, `${key}=${one}`]);
  }
  return [[name, typeof value === 'string' ? value : JSON.stringify(value)]];
}
