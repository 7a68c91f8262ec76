/** `stackshim stack graph`: the tree of bases and stacks, as text or as a drawing. */
import { openDoor } from '../../door/open-stackshim.ts';
import { toDot, toSvg } from '../../store/stacks/stack-graph.ts';
import { glyphsFor } from '../print/draw-bars.ts';
import { drawGraph } from '../print/draw-graph.ts';
import { print, printJson } from '../print/print.ts';
import { printPainted } from '../print/print-painted.ts';
import { collectDamage } from '../print/report-failures.ts';
import { isUtf8, STDOUT, terminalSize } from '../print/terminal.ts';

export async function stackGraph({
  format,
}: {
  readonly format: 'tree' | 'dot' | 'svg' | 'json';
}): Promise<void> {
  const damage = collectDamage('stack');
  const nodes = await openDoor().stacks.graph(damage.listener);
  if (format === 'json') await printJson(nodes);
  else if (format === 'tree') {
    const width = terminalSize(STDOUT)?.columns;
    await printPainted(drawGraph(nodes, { glyphs: glyphsFor(isUtf8()), width }));
  } else await print(format === 'dot' ? toDot(nodes) : toSvg(nodes));
  damage.report();
}
