/** Finds out which two revisions a caller wants to compare. Pure. */
import { StackshimError } from '../core/errors.ts';
import { parseStackReference } from '../spec/parse-command.ts';
import type { DiffStackOptions } from '../store/diff/diff-stack.ts';
import type { DiffRange } from './stacks.ts';

/** Throws ERR_STACKSHIM_SPEC_INVALID. */
export function toDiffSides(stack: string, { from, to, other }: DiffRange): DiffStackOptions {
  const named = parseStackReference(stack, 'name');
  if (other !== undefined) {
    if (from !== undefined || to !== undefined) throw toTooMany(stack, 'another stack');
    return { before: named, after: parseStackReference(other, 'other') };
  }
  const isPinned = (named.revision ?? named.image) !== undefined;
  if (isPinned && (from !== undefined || to !== undefined)) {
    throw toTooMany(stack, 'a revision after "@"');
  }
  const { name } = named;
  return {
    before: from === undefined ? undefined : { name, revision: from },
    after: to === undefined ? named : { name, revision: to },
  };
}

const toTooMany = (stack: string, what: string) =>
  new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `compare ${stack}: revisions are given together with ${what}`,
    {
      hint: 'give two revisions of one stack (ruby-3.3 3 5), or two stacks (ruby-3.3@rev:3 ruby-3.4)',
      details: { field: 'name' },
    },
  );
