/** `stackshim df`: the disk space of stacks, builds and tasks. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { drawDiskUsage } from '../print/draw-disk-usage.ts';
import { printJson } from '../print/print.ts';
import { printPainted } from '../print/print-painted.ts';

export async function df({ json }: JsonOption): Promise<void> {
  const usage = await openDoor().df();
  if (json) return await printJson(usage);
  await printPainted((options) => drawDiskUsage(usage, options));
}
