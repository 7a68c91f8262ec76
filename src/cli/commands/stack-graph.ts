/** `stackshim stack graph`: the tree of bases and stacks, as text or as a drawing. */
import { openDoor } from '../../door/open-stackshim.ts';
import { toDot, toSvg } from '../../store/stacks/stack-graph.ts';
import { print, printJson } from '../print.ts';
import { collectDamage } from '../report-damage.ts';

export async function stackGraph(options: {
  readonly format: 'dot' | 'svg' | 'json';
}): Promise<void> {
  const damage = collectDamage();
  const nodes = await openDoor().stacks.graph(damage.listener);
  if (options.format === 'json') await printJson(nodes);
  else await print(options.format === 'dot' ? toDot(nodes) : toSvg(nodes));
  damage.report();
}
