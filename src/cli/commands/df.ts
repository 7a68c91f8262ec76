/** `stackshim df`: the disk space of stacks, builds and tasks. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { DiskUsage } from '../../upkeep/disk-usage.ts';
import { formatBytes, formatCount } from '../format-quantities.ts';
import { formatTable } from '../format-table.ts';
import { print, printJson } from '../print.ts';

export async function df(options: { readonly json?: boolean }): Promise<void> {
  const usage = await openDoor().df();
  await (options.json ? printJson(usage) : print(format(usage)));
}

function format(usage: DiskUsage): string {
  const stacks = formatTable(
    ['STACK', 'REVISIONS', 'OWN', 'OF OLD REVISIONS', 'SHARED'],
    usage.stacks.map(({ name, revisions, ownBytes, historyBytes, sharedBytes }) => [
      name,
      String(revisions),
      ...[ownBytes, historyBytes, sharedBytes].map(formatBytes),
    ]),
  );
  const totals = formatTable(
    ['TOTAL', 'SIZE'],
    [
      [formatCount(usage.layers.count, 'layer'), formatBytes(usage.layers.bytes)],
      [formatCount(usage.images.count, 'image'), formatBytes(usage.images.bytes)],
      ['builder', formatBytes(usage.builderBytes)],
      ['tasks', formatBytes(usage.scratchBytes)],
      ['reports', formatBytes(usage.reportBytes)],
      ['being written', formatBytes(usage.tmpBytes)],
      ['gc would free', formatBytes(usage.reclaimableBytes)],
      ['free on disk', formatBytes(usage.freeBytes)],
    ],
  );
  return `${stacks}\n${totals}`;
}
