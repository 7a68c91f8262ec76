/** Checks whether the stacks still get fixes and are built on the current revision of their base. */
import type { Layout } from '../core/layout.ts';
import { listStacks, type StackSummary } from '../store/stacks/list-stacks.ts';
import { type Check, ifRoot, optional, passed, unlessRefused, warned } from './check.ts';

const MAX_NAMED = 10;
const subject = optional('stacks');

/** Never rejects for a store that cannot be read, which is a finding. */
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
    ...(ended.length === 0 ? [] : [`no more fixes for ${toList(ended)}`]),
    ...(behind.length === 0 ? [] : [`behind their base: ${toList(behind)}`]),
  ];
  if (findings.length > 0) {
    const hints = [
      ...(ended.length === 0 ? [] : ['move their tasks to a newer stack']),
      ...(behind.length === 0 ? [] : ['run stackshim stack update --all']),
    ];
    return warned(subject, findings.join('; '), hints.join('; '));
  }
  return passed(subject, `${stacks.length}, all of them up to date`);
}

function toList(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return `${names.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
