/** Checks whether the stacks still get fixes and are built on the current revision of their base. */
import type { Layout } from '../core/layout.ts';
import { listStacks, type StackSummary } from '../store/stacks/list-stacks.ts';
import { type Check, ifRoot, optional, passed, unlessRefused, warned } from './check.ts';

const MAX_NAMED = 10;
const subject = optional('stacks');

/** Never rejects for an unreadable store: that is a finding. */
export const checkStacks = (layout: Layout, now: Date): Promise<Check> =>
  unlessRefused(
    () =>
      ifRoot(subject, 'not checked: only root can read the stacks', () =>
        judgeStacks(listStacks(layout), now),
      ),
    ({ message, hint }) => warned(subject, message, hint),
  );

/** Judges these stacks as of a date. Pure. */
export function judgeStacks(
  stacks: readonly Pick<StackSummary, 'name' | 'eol' | 'behind'>[],
  now: Date,
): Check {
  const today = now.toISOString().slice(0, 10);
  const ended = stacks.filter(({ eol }) => eol !== null && eol < today).map(({ name }) => name);
  const behind = stacks.filter((stack) => stack.behind !== null).map(({ name }) => name);
  const findings = [
    { names: ended, what: 'no more fixes for', hint: 'move their tasks to a newer stack' },
    { names: behind, what: 'behind their base:', hint: 'run stackshim stack update --all' },
  ].filter(({ names }) => names.length > 0);
  if (findings.length === 0) return passed(subject, `${stacks.length}, all of them up to date`);
  const message = findings.map(({ what, names }) => `${what} ${toList(names)}`).join('; ');
  return warned(subject, message, findings.map(({ hint }) => hint).join('; '));
}

function toList(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return `${names.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
