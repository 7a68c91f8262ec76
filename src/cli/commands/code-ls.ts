/** `stackshim code ls`: lists code packages. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { PackageSummary } from '../../store/packages/list-packages.ts';
import type { TenantOption, TruncOption } from '../define/shared-options.ts';
import { formatAge, formatBytes, formatDigest } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson } from '../print/print.ts';
import { collectDamage } from '../print/report-damage.ts';

interface CodeLsOptions extends TenantOption, TruncOption {
  readonly all?: boolean;
}

export async function codeLs({ tenant, all, json, trunc }: CodeLsOptions): Promise<void> {
  const damage = collectDamage('code package');
  const packages = await openDoor().code.list({
    ...{ tenant, all },
    onDamage: (error, { name }) => damage.listener(error, name),
  });
  await (json ? printJson(packages) : print(formatPackages(packages, !trunc)));
  damage.report();
}

function formatPackages(packages: readonly PackageSummary[], whole: boolean): string {
  const now = Date.now();
  const rows = packages.map(({ name, tenant, revision, image, stack, createdAt, sizeBytes }) => [
    name,
    tenant ?? '-',
    String(revision),
    formatDigest(image, whole),
    stack ?? '-',
    formatAge(now - Date.parse(createdAt)),
    formatBytes(sizeBytes),
  ]);
  const header = ['NAME', 'TENANT', 'REVISION', 'IMAGE', 'STACK', 'AGE', 'SIZE'];
  return formatTable(header, rows, { whole });
}
