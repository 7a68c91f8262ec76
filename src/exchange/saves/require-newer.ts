/** A save may only replace older stacks: its signature proves who saved it, not that it is the newest. */
import { StackshimError } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
import { readNewestDate } from './loaded-saves.ts';
import type { SavedIndex } from './saved-index.ts';

/** The most that the clocks of two machines may differ. */
const CLOCK_TOLERANCE_MS = 10 * 60_000;

/**
 * Throws ERR_STACKSHIM_SAVE_OUTDATED if one of the stacks has newer content here, or if the save is dated in the future: until that date, it
 * would count as the newest.
 */
export function requireNewer(
  layout: Layout,
  { createdAt, stacks }: Pick<SavedIndex, 'createdAt' | 'stacks'>,
  now: Date,
): void {
  const savedAt = Date.parse(createdAt);
  if (savedAt > now.getTime() + CLOCK_TOLERANCE_MS) {
    throw new StackshimError(
      'ERR_STACKSHIM_SAVE_OUTDATED',
      `load stacks: the save is dated in the future, ${createdAt}`,
      {
        hint: 'compare the clocks of the two machines, or use --any-date to load it anyway',
        details: { savedAt: createdAt, now: now.toISOString() },
      },
    );
  }
  for (const { stack } of stacks) {
    const newest = readNewestDate(layout, stack);
    if (newest === undefined || savedAt > Date.parse(newest)) continue;
    throw new StackshimError(
      'ERR_STACKSHIM_SAVE_OUTDATED',
      `load stacks: the save of ${createdAt} is not newer than the stored ${stack} of ${newest}`,
      { details: { stack, savedAt: createdAt, newest } },
    );
  }
}
