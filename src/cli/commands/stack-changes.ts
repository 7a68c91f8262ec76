/** `stackshim stack rollback` and `rm`: change which revisions of stacks there are. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { StackMove } from '../../store/stacks/rollback.ts';
import { type JsonOption, toPositive } from '../define/shared-options.ts';
import { printAnswer } from '../print/print.ts';

export interface MoveOptions extends JsonOption {
  readonly to?: string;
}

/** Makes an earlier revision current again. */
export async function stackRollback(name: string, options: MoveOptions): Promise<void> {
  const to = toPositive('--to', options.to);
  await printAnswer(await openDoor().stacks.rollback(name, { to }), options, formatMove);
}

export const formatMove = ({ stack, from, to }: StackMove) =>
  `${stack}: ${from === null ? 'none' : `rev:${from}`} -> rev:${to}\n`;

/** Removes stacks with all revisions. */
export async function stackRm(names: readonly string[], options: JsonOption): Promise<void> {
  const removed = await openDoor().stacks.remove(names);
  const lines = removed.map(
    ({ stack, revisions }) => `${stack}: removed, revisions ${revisions.join(', ')}\n`,
  );
  await printAnswer(removed, options, () => lines.join(''));
}
