/** `stackshim stack graph`: the tree of bases and stacks, to look at or to draw. */
import { readStackGraph, toDot, toSvg } from '../stacks/stack-graph.ts';
import { openAsRoot } from './open-as-root.ts';
import { print, printJson } from './print.ts';
import { collectDamage } from './report-damage.ts';

export async function showGraph(options: {
  readonly format: 'dot' | 'svg' | 'json';
}): Promise<void> {
  const { layout } = openAsRoot('draw stacks');
  const damage = collectDamage();
  const nodes = await readStackGraph(layout, damage.listener);
  if (options.format === 'json') await printJson(nodes);
  else await print(options.format === 'dot' ? toDot(nodes) : toSvg(nodes));
  damage.tell();
}
