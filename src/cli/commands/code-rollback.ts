/** `stackshim code rollback`: makes an earlier revision of a code package current again. */
import { openDoor } from '../../door/open-stackshim.ts';
import { type TenantOption, toPositive } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';

export async function codeRollback(
  name: string,
  { tenant, json, to }: TenantOption & { readonly to?: string },
): Promise<void> {
  const move = await openDoor().code.rollback(name, { tenant, to: toPositive('--to', to) });
  await (json ? printJson(move) : print(`${move.name}: rev:${move.from} -> rev:${move.to}\n`));
}
