/** `stackshim stack diff`: how much differs between two revisions, then settings, packages and files. */
import { StackshimError } from '../../core/errors.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { DiffRange } from '../../door/stacks.ts';
import type { FileTotals, StackDiff } from '../../store/diff/diff-stack.ts';
import type { FileChange } from '../../store/diff/diff-trees.ts';
import type { PackageChange } from '../../store/diff/dpkg-status.ts';
import { formatBytes, formatCount } from '../format-quantities.ts';
import { formatTable } from '../format-table.ts';
import { print, printJson } from '../print.ts';
import { toPositive } from '../shared-options.ts';

export interface DiffCommandOptions {
  readonly json?: boolean;
  readonly settings?: boolean;
  readonly packages?: boolean;
  readonly files?: boolean;
}

const MAX_SHOWN = 20;
const MARKS = { added: '+', removed: '-', changed: '~' } as const;

/** `words`: revisions of the stack, or another stack. */
export async function stackDiff(
  stack: string,
  words: readonly string[],
  options: DiffCommandOptions,
): Promise<void> {
  const diff = await openDoor().stacks.diff(stack, toRange(words));
  await (options.json ? printJson(diff) : print(formatDiff(diff, options)));
}

/** Only digits are a revision: a stack with such a name can be written `3@rev:1`. */
function toRange(words: readonly string[]): DiffRange {
  const [first, second, ...more] = words;
  if (more.length > 0) {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      `compare stacks: ${words.length + 1} words, and at most 3 have a meaning`,
      {
        hint: 'give two revisions of one stack (ruby-3.3 3 5), or two stacks (ruby-3.3@rev:3 ruby-3.4)',
        details: { field: 'other' },
      },
    );
  }
  if (first !== undefined && !/^\d+$/.test(first) && second === undefined) return { other: first };
  return { from: toPositive('A', first), to: toPositive('B', second) };
}

/** The summary, then the parts that were asked for; without a choice all parts, but only the largest differences of files. */
function formatDiff(diff: StackDiff, options: DiffCommandOptions): string {
  const { settings, packages, files } = options;
  const isChosen = (settings ?? packages ?? files) === true;
  return [
    formatHead(diff),
    isChosen && !settings ? '' : formatSettings(diff),
    isChosen && !packages ? '' : formatPackages(diff),
    isChosen && !files ? '' : formatFiles(diff, files ? Number.POSITIVE_INFINITY : MAX_SHOWN),
  ].join('');
}

function formatHead({ before, after, summary, totals }: StackDiff): string {
  const isOneStack = before.stack === after.stack;
  const head = isOneStack
    ? `${after.stack}: rev:${before.revision} -> rev:${after.revision}\n`
    : `${before.stack}@rev:${before.revision} -> ${after.stack}@rev:${after.revision}\n`;
  const { updated, downgraded, added, removed, bytes } = summary.packages;
  const packages = toWords('package', { updated, downgraded, added, removed });
  const settings = toWords('setting', summary.settings);
  const files = toWords('file', {
    added: totals.added.files,
    removed: totals.removed.files,
    changed: totals.changed.files,
  });
  return [
    head,
    packages === undefined ? 'the same packages\n' : `${packages} (${toSigned(bytes)})\n`,
    settings === undefined ? 'the same settings\n' : `${settings}\n`,
    files === undefined ? 'the same files\n' : `${files} (${toSigned(grownBy(totals))})\n`,
    `layers on disk: ${formatBytes(before.bytes)} -> ${formatBytes(after.bytes)} (${toSigned(after.bytes - before.bytes)})\n`,
  ].join('');
}

/** `12 packages updated, 3 added`; undefined if all counts are 0. */
function toWords(noun: string, counts: Readonly<Record<string, number>>): string | undefined {
  const given = Object.entries(counts).filter(([, count]) => count > 0);
  if (given.length === 0) return undefined;
  return given
    .map(([word, count], index) => `${index === 0 ? formatCount(count, noun) : count} ${word}`)
    .join(', ');
}

const grownBy = ({ added, removed, changed }: Record<FileChange['change'], FileTotals>) =>
  added.bytes - removed.bytes + changed.bytes;

function formatSettings({ settings }: StackDiff): string {
  if (settings.length === 0) return '';
  const rows = settings.map(({ change, name, before, after }) => [
    MARKS[change],
    name,
    before ?? '-',
    after ?? '-',
  ]);
  return `\n${formatTable(['', 'SETTING', 'BEFORE', 'AFTER'], rows)}`;
}

function formatPackages({ packages }: StackDiff): string {
  if (packages.length === 0) return '';
  return `\n${formatTable(['', 'PACKAGE', 'BEFORE', 'AFTER', 'SIZE'], packages.map(toRow))}`;
}

/** If not all files are shown, the largest differences come first. */
function formatFiles({ files, totals }: StackDiff, most: number): string {
  const { added, removed, changed } = totals;
  const shown =
    files.length <= most
      ? files
      : files.toSorted((a, b) => weightOf(b) - weightOf(a)).slice(0, most);
  if (shown.length === 0) return '';
  const table = formatTable(
    ['', 'FILE', 'BEFORE', 'AFTER'],
    shown.map((file) => [
      MARKS[file.change],
      file.path,
      toSize(file.beforeBytes),
      toSize(file.afterBytes),
    ]),
  );
  const hidden = added.files + removed.files + changed.files - shown.length;
  const more = hidden > 0 ? `and ${hidden} smaller ones: --files shows all\n` : '';
  return `\n${table}${more}`;
}

const toRow = ({ name, change, before, after }: PackageChange): string[] => [
  MARKS[change],
  name,
  before?.version ?? '-',
  after?.version ?? '-',
  toSigned((after?.bytes ?? 0) - (before?.bytes ?? 0)),
];

const toSize = (bytes: number | null) => (bytes === null ? '-' : formatBytes(bytes));
const toSigned = (bytes: number) => `${bytes < 0 ? '-' : '+'}${formatBytes(Math.abs(bytes))}`;
const weightOf = ({ beforeBytes, afterBytes }: FileChange) =>
  Math.abs((afterBytes ?? 0) - (beforeBytes ?? 0));
