/** `stackshim stack ls`: lists stacks. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { StackSummary } from '../../store/stacks/list-stacks.ts';
import type { JsonOption, TruncOption } from '../define/shared-options.ts';
import { formatAge, formatBytes, formatDigest } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson } from '../print/print.ts';
import { collectDamage } from '../print/report-damage.ts';

export async function stackLs(options: JsonOption & TruncOption): Promise<void> {
  const damage = collectDamage('stack');
  const stacks = await openDoor().stacks.list(damage.listener);
  await (options.json ? printJson(stacks) : print(formatStacks(stacks, !options.trunc)));
  damage.report();
}

function formatStacks(stacks: readonly StackSummary[], whole: boolean): string {
  const now = Date.now();
  const rows = stacks.map((stack) => [
    stack.name,
    String(stack.revision),
    formatDigest(stack.image, whole),
    formatAge(now - Date.parse(stack.createdAt)),
    formatBytes(stack.ownBytes),
    formatBytes(stack.sharedBytes),
    toState(stack),
    stack.description ?? '',
  ]);
  const header = ['NAME', 'REVISION', 'IMAGE', 'AGE', 'OWN', 'SHARED', 'STATE', 'DESCRIPTION'];
  return formatTable(header, rows, { whole, cut: ['DESCRIPTION', 'STATE'] });
}

/** What a user of the stack should know; empty if there is nothing. */
const toState = ({ behind, eol }: StackSummary) =>
  [behind === null ? '' : `behind ${behind}`, eol === null ? '' : `eol ${eol}`]
    .filter((note) => note !== '')
    .join(', ');
