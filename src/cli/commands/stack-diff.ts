/** `stackshim stack diff`: shows how much two revisions differ, then how settings, packages and files differ. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { DiffRange } from '../../door/stacks.ts';
import { invalidInput } from '../../spec/field-errors.ts';
import type { StackDiff } from '../../store/diff/diff-stack.ts';
import type { PackageChange } from '../../store/diff/dpkg-status.ts';
import { type JsonOption, toPositive } from '../define/shared-options.ts';
import {
  type DiffParts,
  formatParts,
  MARKS,
  summariseFiles,
  summariseSettings,
  toSigned,
  toWords,
} from '../print/format-changes.ts';
import { formatBytes } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { printAnswer } from '../print/print.ts';

/** `words` are revisions of the stack, or another stack. */
export async function stackDiff(
  stack: string,
  words: readonly string[],
  options: JsonOption & DiffParts,
): Promise<void> {
  const diff = await openDoor().stacks.diff(stack, toRange(words));
  const packages = formatPackages(diff);
  await printAnswer(diff, options, () => formatHead(diff) + formatParts(diff, options, packages));
}

/** A word of digits is a revision: write `3@rev:1` for a stack with such a name. */
function toRange(words: readonly string[]): DiffRange {
  const [first, second, ...more] = words;
  if (more.length > 0) {
    const message = `compare stacks: ${words.length + 1} words, and at most 3 have a meaning`;
    const hint =
      'give two revisions of one stack (ruby-3.3 3 5), or two stacks (ruby-3.3@rev:3 ruby-3.4)';
    throw invalidInput('other', message, hint);
  }
  if (first !== undefined && !/^\d+$/.test(first) && second === undefined) return { other: first };
  return { from: toPositive('A', first), to: toPositive('B', second) };
}

function formatHead({ before, after, summary, totals }: StackDiff): string {
  const isOneStack = before.stack === after.stack;
  const head = isOneStack
    ? `${after.stack}: rev:${before.revision} -> rev:${after.revision}\n`
    : `${before.stack}@rev:${before.revision} -> ${after.stack}@rev:${after.revision}\n`;
  const { updated, downgraded, added, removed, bytes } = summary.packages;
  const packages = toWords('package', { updated, downgraded, added, removed });
  return [
    head,
    packages === undefined ? 'the same packages\n' : `${packages} (${toSigned(bytes)})\n`,
    summariseSettings(summary.settings),
    summariseFiles(totals),
    `layers on disk: ${formatBytes(before.bytes)} -> ${formatBytes(after.bytes)} (${toSigned(after.bytes - before.bytes)})\n`,
  ].join('');
}

function formatPackages({ packages }: StackDiff): string {
  if (packages.length === 0) return '';
  return `\n${formatTable(['', 'PACKAGE', 'BEFORE', 'AFTER', 'SIZE'], packages.map(toRow))}`;
}

const toRow = ({ name, change, before, after }: PackageChange): string[] => [
  MARKS[change],
  name,
  before?.version ?? '-',
  after?.version ?? '-',
  toSigned((after?.bytes ?? 0) - (before?.bytes ?? 0)),
];
