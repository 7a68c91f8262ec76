/** `stackshim df`: the disk space of stacks, builds and tasks. */
import { openDoor } from '../../door/open-stackshim.ts';
import { glyphsFor } from '../draw-bars.ts';
import { drawDiskUsage } from '../draw-disk-usage.ts';
import { printJson } from '../print.ts';
import { printPainted } from '../print-painted.ts';
import type { JsonOption } from '../shared-options.ts';
import { isUtf8, STDOUT, terminalSize } from '../terminal.ts';

export async function df(options: JsonOption): Promise<void> {
  const usage = await openDoor().df();
  if (options.json) return await printJson(usage);
  const width = terminalSize(STDOUT)?.columns;
  return await printPainted(drawDiskUsage(usage, { glyphs: glyphsFor(isUtf8()), width }));
}
