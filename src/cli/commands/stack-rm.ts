/** `stackshim stack rm`: removes stacks with all revisions. */
import { openDoor } from '../../door/open-stackshim.ts';
import { print, printJson } from '../print/print.ts';

export async function stackRm(
  names: readonly string[],
  options: { readonly json?: boolean },
): Promise<void> {
  const removed = await openDoor().stacks.remove(names);
  if (options.json) return await printJson(removed);
  const lines = removed.map(
    ({ stack, revisions }) => `${stack}: removed, revisions ${revisions.join(', ')}\n`,
  );
  return await print(lines.join(''));
}
