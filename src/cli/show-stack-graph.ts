/** `stackshim stack graph`: the tree of bases and stacks, to look at or to draw. */
import { readStackGraph, toDot, toSvg } from '../stacks/stack-graph.ts';
import { openInstallation } from '../task/installation.ts';
import { print, printJson } from './print.ts';
import { collectDamage } from './report-damage.ts';
import { requireRoot } from './require-root.ts';

export async function showGraph(options: {
  readonly format: 'dot' | 'svg' | 'json';
}): Promise<void> {
  requireRoot('draw stacks');
  const damage = collectDamage();
  const nodes = await readStackGraph(openInstallation().layout, damage.listener);
  if (options.format === 'json') await printJson(nodes);
  else await print(options.format === 'dot' ? toDot(nodes) : toSvg(nodes));
  damage.tell();
}
