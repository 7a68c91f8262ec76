/** Lets a save replace only older stacks: its signature proves who saved it, not that it is the newest. */
import { StackshimError } from '../../core/errors.ts';
import type { StackName } from '../../core/ids.ts';
import { type Layout, stackDir } from '../../core/layout.ts';
import { date } from '../../core/read-fields.ts';
import { readCurrentGeneration, revisionIn } from '../../store/stacks/generations.ts';
import { readStackHistory } from '../../store/stacks/stack-history.ts';
import { readStoredJson, storedFields } from '../../store/stored-json.ts';
import { withStacksLock } from '../../store/with-lock.ts';
import { writeStoredJson } from '../../store/write-stored-json.ts';
import type { System } from '../../sys/system.ts';
import type { SavedIndex } from './saved-index.ts';

/** Maximum difference between the clocks of two machines. */
const CLOCK_TOLERANCE_MS = 10 * 60_000;

/** The file with the date of the newest loaded save, so that an older save cannot pass as new. */
const loadedFile = (layout: Layout, name: StackName) => `${stackDir(layout, name)}/loaded.json`;

/** Throws ERR_STACKSHIM_SAVE_OUTDATED if a stack is newer here, or the save has a future date, until which it would count as the newest. */
export function requireNewer(
  layout: Layout,
  { createdAt, stacks }: Pick<SavedIndex, 'createdAt' | 'stacks'>,
  now: Date,
): void {
  const savedAt = Date.parse(createdAt);
  if (savedAt > now.getTime() + CLOCK_TOLERANCE_MS) {
    const message = `load stacks: the save is dated in the future, ${createdAt}`;
    throw new StackshimError('ERR_STACKSHIM_SAVE_OUTDATED', message, {
      hint: 'compare the clocks of the two machines, or use --any-date to load it anyway',
      details: { savedAt: createdAt, now: now.toISOString() },
    });
  }
  for (const { stack } of stacks) {
    const newest = readNewestDate(layout, stack);
    if (newest === undefined || savedAt > Date.parse(newest)) continue;
    const message = `load stacks: the save of ${createdAt} is not newer than the stored ${stack} of ${newest}`;
    const details = { stack, savedAt: createdAt, newest };
    throw new StackshimError('ERR_STACKSHIM_SAVE_OUTDATED', message, { details });
  }
}

/**
 * Returns the ISO 8601 date that a new save of the stack must exceed: the date of the newest loaded save, or of the newest revision that was ever
 * current (a loaded revision counts with its save's date), whichever is later. A rollback does not lower the date. Undefined if the stack has no
 * current revision, because nothing would be replaced. Blocks. Throws ERR_STACKSHIM_STACK_CORRUPT.
 */
function readNewestDate(layout: Layout, name: StackName): string | undefined {
  if (revisionIn(readCurrentGeneration(layout), name) === undefined) return undefined;
  const dates = readStackHistory(layout, name)
    .filter(({ state }) => state !== 'unproven')
    .map(({ createdAt, source }) =>
      source.kind === 'import' ? (source.savedAt ?? createdAt) : createdAt,
    );
  return newestOf([...dates, readLoaded(layout, name)]);
}

/** Stores the date of a loaded save durably, unless a newer date is stored. */
export async function rememberSave(
  layout: Layout,
  system: System,
  { stack, savedAt }: { readonly stack: StackName; readonly savedAt: string },
): Promise<void> {
  await withStacksLock(layout, system, async () => {
    const before = readLoaded(layout, stack);
    if (newestOf([before, savedAt]) === before) return;
    await writeStoredJson(loadedFile(layout, stack), { newest: savedAt });
  });
}

const readLoaded = (layout: Layout, name: StackName): string | undefined =>
  readStoredJson(loadedFile(layout, name), {
    reader: storedFields<{ readonly newest: string }>({ newest: date }),
    code: 'ERR_STACKSHIM_STACK_CORRUPT',
    what: 'date of the newest save',
  })?.newest;

function newestOf(dates: readonly (string | undefined)[]): string | undefined {
  let newest: string | undefined;
  for (const one of dates) {
    if (one === undefined) continue;
    if (newest === undefined || Date.parse(one) > Date.parse(newest)) newest = one;
  }
  return newest;
}
