/** `stackshim stack release apply`, `rollback` and `ls`: move several stacks in one step. */
import { errnoCodeOf, reasonOf, StackshimError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { invalidField } from '../../spec/field-errors.ts';
import { parseDuration, showDuration } from '../../spec/quantities.ts';
import type { ReleaseResult } from '../../store/stacks/release.ts';
import { readBoundedFile } from '../../sys/files.ts';
import { type JsonOption, toPositive } from '../define/shared-options.ts';
import { formatCount } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { printAnswer, printNote } from '../print/print.ts';
import { namingOptions } from '../queues/naming-options.ts';
import type { StoreOptions } from '../queues/store-address.ts';
import { withQueues } from '../queues/with-queues.ts';
import { formatMove, type MoveOptions } from './stack.ts';

const MAX_RELEASE_BYTES = 1024 * 1024;

const DEFAULT_LEAD = '30s';
const LEAD = { min: 0, max: 24 * 3_600_000 };

interface ReleaseApplyOptions extends StoreOptions, JsonOption {
  readonly announce?: boolean;
  readonly lead?: string;
}

export async function stackReleaseApply(file: string, options: ReleaseApplyOptions): Promise<void> {
  const { stacks } = openDoor();
  const leadMs = await namingOptions('stack release apply', () => toLeadMs(options));
  const text = readReleaseFile(file);
  if (options.announce) {
    const references = await stacks.stacksOfRelease(text, file);
    await withQueues(options, (queues) => queues.announce(references));
    printNote(
      `stackshim: announced ${references.join(', ')}; applies in ${showDuration(leadMs)}\n`,
    );
    await pause(leadMs);
  }
  await printResult(await stacks.applyRelease(text, file), options);
}

export async function stackReleaseRollback(options: MoveOptions): Promise<void> {
  const to = toPositive('--to', options.to);
  await printResult(await openDoor().stacks.rollbackRelease({ to }), options);
}

function toLeadMs({ announce = false, lead }: ReleaseApplyOptions): number {
  if (!announce && lead !== undefined) throw invalidField('lead', 'needs --announce', lead);
  return parseDuration(lead ?? DEFAULT_LEAD, 'lead', LEAD);
}

async function printResult(result: ReleaseResult, options: JsonOption): Promise<void> {
  const moves = result.moves.map(formatMove).join('');
  const count = formatCount(result.moves.length, 'stack');
  const text = `${moves}generation ${result.generation}: ${count} moved\n`;
  await printAnswer(result, options, () => text);
}

function readReleaseFile(file: string): string {
  try {
    return readBoundedFile(file, { maxBytes: MAX_RELEASE_BYTES, followLink: true });
  } catch (error) {
    const [code, details] =
      errnoCodeOf(error) === undefined
        ? (['ERR_STACKSHIM_SPEC_INVALID', { field: 'release' }] as const)
        : (['ERR_STACKSHIM_INPUT_NOT_FOUND', { path: file }] as const);
    const message = `read release ${file}: ${reasonOf(error)}`;
    throw new StackshimError(code, message, { details, cause: error });
  }
}

export async function stackReleaseLs(
  options: JsonOption & { readonly limit: string },
): Promise<void> {
  const releases = await openDoor().stacks.releases(toPositive('--limit', options.limit));
  const rows = releases.map(({ generation, isCurrent, createdAt, stacks, reason }) => [
    String(generation),
    isCurrent ? 'yes' : '',
    createdAt,
    String(stacks),
    reason,
  ]);
  const header = ['GENERATION', 'CURRENT', 'CREATED', 'STACKS', 'REASON'];
  await printAnswer(releases, options, () => formatTable(header, rows));
}
