/** `stackshim stack history`: the revisions of a stack, and when each was current. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { HistoryEntry } from '../../store/stacks/stack-history.ts';
import type { JsonOption, TruncOption } from '../define/shared-options.ts';
import { formatAge, formatDigest } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson } from '../print/print.ts';

export async function stackHistory(name: string, options: JsonOption & TruncOption): Promise<void> {
  const entries = await openDoor().stacks.history(name);
  if (options.json) return await printJson(entries);
  const whole = !options.trunc;
  const now = Date.now();
  const rows = entries.map((entry) => [
    String(entry.revision),
    entry.state,
    formatDigest(entry.image, whole),
    formatAge(now - Date.parse(entry.createdAt)),
    entry.currentSince ?? '-',
    toSource(entry),
  ]);
  return await print(
    formatTable(['REVISION', 'STATE', 'IMAGE', 'AGE', 'CURRENT SINCE', 'SOURCE'], rows, { whole }),
  );
}

function toSource({ source }: HistoryEntry): string {
  if (source.kind !== 'build') return source.reference;
  const { base, directory } = source;
  return base === undefined ? directory : `${directory} on ${base.stack}@rev:${base.revision}`;
}
