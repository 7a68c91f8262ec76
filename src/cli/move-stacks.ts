/** `stackshim stack rollback`, `rm` and `release`: stacks move to other revisions, or go. */
import { errnoCodeOf, reasonOf, StackshimError } from '../core/errors.ts';
import { openDoor } from '../door/open-stackshim.ts';
import type { ReleaseResult } from '../stacks/release.ts';
import type { StackMove } from '../stacks/rollback.ts';
import { readBoundedFile } from '../sys/read-bounded-file.ts';
import { print, printJson } from './print.ts';
import { toPositive } from './stack-arguments.ts';

interface MoveOptions {
  readonly to?: string;
  readonly json?: boolean;
}

const MAX_RELEASE_BYTES = 1024 * 1024;

export async function rollBack(name: string, options: MoveOptions): Promise<void> {
  const to = toPositive('--to', options.to);
  const move = await openDoor().stacks.rollback(name, { to });
  return await (options.json ? printJson(move) : print(formatMove(move)));
}

export async function remove(
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

export async function applyReleaseFile(
  file: string,
  options: { readonly json?: boolean },
): Promise<void> {
  const result = await openDoor().stacks.applyRelease(readReleaseFile(file), file);
  await printResult(result, options);
}

export async function rollBackRelease(options: MoveOptions): Promise<void> {
  const to = toPositive('--to', options.to);
  await printResult(await openDoor().stacks.rollbackRelease({ to }), options);
}

async function printResult(
  result: ReleaseResult,
  options: { readonly json?: boolean },
): Promise<void> {
  if (options.json) return await printJson(result);
  const count = result.moves.length;
  await print(
    `${result.moves.map(formatMove).join('')}generation ${result.generation}: ${count} stack${count === 1 ? '' : 's'} moved\n`,
  );
}

const formatMove = ({ stack, from, to }: StackMove) =>
  `${stack}: ${from === null ? 'none' : `rev:${from}`} -> rev:${to}\n`;

function readReleaseFile(file: string): string {
  try {
    return readBoundedFile(file, { maxBytes: MAX_RELEASE_BYTES, followLink: true });
  } catch (error) {
    if (errnoCodeOf(error) === undefined) {
      throw new StackshimError(
        'ERR_STACKSHIM_SPEC_INVALID',
        `read release ${file}: ${reasonOf(error)}`,
        { details: { field: 'release' }, cause: error },
      );
    }
    throw new StackshimError(
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
      `read release ${file}: ${errnoCodeOf(error) ?? 'failed'}`,
      { details: { path: file }, cause: error },
    );
  }
}
