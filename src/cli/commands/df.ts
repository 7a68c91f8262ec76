/** `stackshim df`: the disk space of stacks, builds and tasks. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { glyphsFor } from '../print/draw-bars.ts';
import { drawDiskUsage } from '../print/draw-disk-usage.ts';
import { printJson } from '../print/print.ts';
import { printPainted } from '../print/print-painted.ts';
import { isUtf8, STDOUT, terminalSize } from '../print/terminal.ts';

export async function df(options: JsonOption): Promise<void> {
  const usage = await openDoor().df();
  if (options.json) return await printJson(usage);
  const width = terminalSize(STDOUT)?.columns;
  return await printPainted(drawDiskUsage(usage, { glyphs: glyphsFor(isUtf8()), width }));
}
