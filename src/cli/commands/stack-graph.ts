/** `stackshim stack graph`: shows the tree of bases and stacks, as text or as a drawing. */
import { openDoor } from '../../door/open-stackshim.ts';
import { toDot, toSvg } from '../../store/stacks/stack-graph.ts';
import { drawGraph } from '../print/draw-graph.ts';
import { print, printJson } from '../print/print.ts';
import { printPainted } from '../print/print-painted.ts';
import { collectDamage } from '../print/report-failures.ts';

export async function stackGraph({
  format,
}: {
  readonly format: 'tree' | 'dot' | 'svg' | 'json';
}): Promise<void> {
  const damage = collectDamage('stack');
  const nodes = await openDoor().stacks.graph(damage.listener);
  if (format === 'json') await printJson(nodes);
  else if (format === 'tree') await printPainted((options) => drawGraph(nodes, options));
  else await print(format === 'dot' ? toDot(nodes) : toSvg(nodes));
  damage.report();
}
