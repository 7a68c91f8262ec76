/** `stackshim code rollback` and `rm`: change which revisions of code packages there are. */
import { openDoor } from '../../door/open-stackshim.ts';
import { type TenantOption, toPositive } from '../define/shared-options.ts';
import { printAnswer } from '../print/print.ts';

/** Makes an earlier revision of a code package current again. */
export async function codeRollback(
  reference: string,
  options: TenantOption & { readonly to?: string },
): Promise<void> {
  const target = { tenant: options.tenant, to: toPositive('--to', options.to) };
  const move = await openDoor().code.rollback(reference, target);
  await printAnswer(move, options, ({ name, from, to }) => `${name}: rev:${from} -> rev:${to}\n`);
}

/** Removes code packages with all revisions. */
export async function codeRm(names: readonly string[], options: TenantOption): Promise<void> {
  const removed = await openDoor().code.remove(names, { tenant: options.tenant });
  const lines = removed.map(
    ({ name, revisions }) => `${name}: removed, revisions ${revisions.join(', ')}\n`,
  );
  await printAnswer(removed, options, () => lines.join(''));
}
