/** `stackshim stack graph`: the tree of bases and stacks, to look at or to draw. */
import { layoutFrom } from '../core/layout.ts';
import { readStackGraph, toDot, toSvg } from '../stacks/stack-graph.ts';
import { print, printJson } from './print.ts';

export async function showGraph(options: {
  readonly format: 'dot' | 'svg' | 'json';
}): Promise<void> {
  const nodes = await readStackGraph(layoutFrom({}, process.env));
  switch (options.format) {
    case 'dot':
      return await print(toDot(nodes));
    case 'svg':
      return await print(toSvg(nodes));
    case 'json':
      return await printJson(nodes);
  }
}
