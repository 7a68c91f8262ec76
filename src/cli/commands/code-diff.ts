/** `stackshim code diff`: shows how two revisions of a code package differ. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { PackageDiff } from '../../store/packages/diff-package.ts';
import { type TenantOption, toPositive } from '../define/shared-options.ts';
import {
  type DiffParts,
  formatParts,
  summariseFiles,
  summariseSettings,
} from '../print/format-changes.ts';
import { printAnswer } from '../print/print.ts';

export async function codeDiff(
  name: string,
  from: string | undefined,
  to: string | undefined,
  options: TenantOption & DiffParts,
): Promise<void> {
  const range = { from: toPositive('A', from), to: toPositive('B', to) };
  const diff = await openDoor().code.diff(name, { ...range, tenant: options.tenant });
  await printAnswer(diff, options, () => formatHead(diff) + formatParts(diff, options));
}

function formatHead({ name, from, to, settings, totals }: PackageDiff): string {
  const count = (change: 'added' | 'removed' | 'changed') =>
    settings.filter((one) => one.change === change).length;
  const changes = { added: count('added'), removed: count('removed'), changed: count('changed') };
  return [
    `${name}: rev:${from} -> rev:${to}\n`,
    summariseSettings(changes),
    summariseFiles(totals),
  ].join('');
}
