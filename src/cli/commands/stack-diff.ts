/** `stackshim stack diff`: settings, packages and files that differ between two revisions. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { FileTotals, StackDiff } from '../../store/diff/diff-stack.ts';
import type { FileChange } from '../../store/diff/diff-trees.ts';
import type { PackageChange } from '../../store/diff/dpkg-status.ts';
import { formatBytes } from '../format-quantities.ts';
import { formatTable } from '../format-table.ts';
import { print, printJson } from '../print.ts';
import { toPositive } from '../shared-options.ts';

interface DiffOptions {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly json?: boolean;
  readonly files?: boolean;
}

const MAX_SHOWN = 20;
const MARKS = { added: '+', removed: '-', changed: '~' } as const;

export async function stackDiff(name: string, options: DiffOptions): Promise<void> {
  const range = { from: toPositive('A', options.from), to: toPositive('B', options.to) };
  const diff = await openDoor().stacks.diff(name, range);
  return await (options.json
    ? printJson(diff)
    : print(formatDiff(diff, options.files ? Number.POSITIVE_INFINITY : MAX_SHOWN)));
}

/** If not all files are shown, the largest differences come first. */
function formatDiff(diff: StackDiff, most: number): string {
  const { added, removed, changed } = diff.totals;
  const head = `${diff.stack}: rev:${diff.from} -> rev:${diff.to}\n`;
  const packages = formatTable(
    ['', 'PACKAGE', 'BEFORE', 'AFTER', 'SIZE'],
    diff.packages.map(toRow),
  );
  const settings = formatTable(
    ['', 'SETTING', 'BEFORE', 'AFTER'],
    diff.settings.map(({ change, name, before, after }) => [
      MARKS[change],
      name,
      before ?? '-',
      after ?? '-',
    ]),
  );
  const totals = `files: ${toTotal('added', added)}, ${toTotal('removed', removed)}, ${toTotal('changed', changed)}\n`;
  const shown =
    diff.files.length <= most
      ? diff.files
      : diff.files.toSorted((a, b) => weightOf(b) - weightOf(a)).slice(0, most);
  const files = formatTable(
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
  return [
    head,
    diff.settings.length === 0 ? 'settings: the same\n' : settings,
    diff.packages.length === 0 ? 'packages: the same\n' : packages,
    totals,
    shown.length === 0 ? '' : files,
    more,
  ].join('');
}

const toRow = ({ name, change, before, after }: PackageChange): string[] => [
  MARKS[change],
  name,
  before?.version ?? '-',
  after?.version ?? '-',
  toSigned((after?.bytes ?? 0) - (before?.bytes ?? 0)),
];

const toTotal = (word: FileChange['change'], { files, bytes }: FileTotals) =>
  `${files} ${word} (${word === 'changed' ? toSigned(bytes) : formatBytes(bytes)})`;

const toSize = (bytes: number | null) => (bytes === null ? '-' : formatBytes(bytes));
const toSigned = (bytes: number) => `${bytes < 0 ? '-' : '+'}${formatBytes(Math.abs(bytes))}`;
const weightOf = ({ beforeBytes, afterBytes }: FileChange) =>
  Math.abs((afterBytes ?? 0) - (beforeBytes ?? 0));
