/** `stackshim stack release apply`, `rollback` and `ls`: several stacks move in one step. */
import { errnoCodeOf, reasonOf, StackshimError } from '../../core/errors.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { ReleaseResult } from '../../store/stacks/release.ts';
import { readBoundedFile } from '../../sys/files.ts';
import { toPositive } from '../define/shared-options.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson } from '../print/print.ts';
import { formatMove, type MoveOptions } from './stack-rollback.ts';

const MAX_RELEASE_BYTES = 1024 * 1024;

export async function stackReleaseApply(
  file: string,
  options: { readonly json?: boolean },
): Promise<void> {
  const result = await openDoor().stacks.applyRelease(readReleaseFile(file), file);
  await printResult(result, options);
}

export async function stackReleaseRollback(options: MoveOptions): Promise<void> {
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
      `read release ${file}: ${reasonOf(error)}`,
      { details: { path: file }, cause: error },
    );
  }
}

export async function stackReleaseLs(options: {
  readonly json?: boolean;
  readonly limit: string;
}): Promise<void> {
  const releases = await openDoor().stacks.releases(toPositive('--limit', options.limit));
  if (options.json) return await printJson(releases);
  const rows = releases.map(({ generation, isCurrent, createdAt, stacks, reason }) => [
    String(generation),
    isCurrent ? 'yes' : '',
    createdAt,
    String(stacks),
    reason,
  ]);
  return await print(formatTable(['GENERATION', 'CURRENT', 'CREATED', 'STACKS', 'REASON'], rows));
}
