/** `stackshim stack rollback`: makes an earlier revision current again. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { StackMove } from '../../store/stacks/rollback.ts';
import { toPositive } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';

export interface MoveOptions {
  readonly to?: string;
  readonly json?: boolean;
}

export async function stackRollback(name: string, options: MoveOptions): Promise<void> {
  const to = toPositive('--to', options.to);
  const move = await openDoor().stacks.rollback(name, { to });
  return await (options.json ? printJson(move) : print(formatMove(move)));
}

export const formatMove = ({ stack, from, to }: StackMove) =>
  `${stack}: ${from === null ? 'none' : `rev:${from}`} -> rev:${to}\n`;
