/** `stackshim code history`: the revisions of a code package. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { PackageSource } from '../../store/packages/package.ts';
import type { TenantOption, TruncOption } from '../define/shared-options.ts';
import { formatAge, formatDigest } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson } from '../print/print.ts';

export async function codeHistory(
  name: string,
  { tenant, json, trunc }: TenantOption & TruncOption,
): Promise<void> {
  const entries = await openDoor().code.history(name, { tenant });
  if (json) return await printJson(entries);
  const whole = !trunc;
  const now = Date.now();
  const rows = entries.map(({ revision, isCurrent, image, createdAt, currentSince, source }) => [
    String(revision),
    isCurrent ? 'current' : '',
    formatDigest(image, whole),
    formatAge(now - Date.parse(createdAt)),
    currentSince ?? '-',
    toSourceText(source),
  ]);
  const header = ['REVISION', 'STATE', 'IMAGE', 'AGE', 'CURRENT SINCE', 'SOURCE'];
  return await print(formatTable(header, rows, { whole }));
}

export const toSourceText = (source: PackageSource): string =>
  source.kind === 'add' ? source.path : source.reference;
