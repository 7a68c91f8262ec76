/** `stackshim code rm`: removes code packages with all revisions. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { TenantOption } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';

export async function codeRm(
  names: readonly string[],
  { tenant, json }: TenantOption,
): Promise<void> {
  const removed = await openDoor().code.remove(names, { tenant });
  if (json) return await printJson(removed);
  const lines = removed.map(
    ({ name, revisions }) => `${name}: removed, revisions ${revisions.join(', ')}\n`,
  );
  await print(lines.join(''));
}
