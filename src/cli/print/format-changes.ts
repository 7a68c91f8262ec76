/** Formats the differences between two revisions of a stack or of a code package. Pure. */
import type { FileChange, FileDiff } from '../../store/diff/diff-files.ts';
import type { SettingChange } from '../../store/diff/diff-settings.ts';
import { formatBytes, formatCount } from './format-quantities.ts';
import { formatTable } from './format-table.ts';

export const MARKS = { added: '+', removed: '-', changed: '~' } as const;
/** How many of the largest differences are shown without `--files`. */
const MOST_FILES = 20;

/** Formats `12 packages updated, 3 added`; undefined if all counts are 0. */
export function toWords(
  noun: string,
  counts: Readonly<Record<string, number>>,
): string | undefined {
  const given = Object.entries(counts).filter(([, count]) => count > 0);
  if (given.length === 0) return undefined;
  return given
    .map(([word, count], index) => `${index === 0 ? formatCount(count, noun) : count} ${word}`)
    .join(', ');
}

/** Formats `2 settings added\n`. */
export function summariseSettings(counts: Readonly<Record<string, number>>): string {
  return `${toWords('setting', counts) ?? 'the same settings'}\n`;
}

/** Formats `3 files added (+4.0 KiB)\n`. */
export function summariseFiles({ added, removed, changed }: FileDiff['totals']): string {
  const grownBy = added.bytes - removed.bytes + changed.bytes;
  const counts = { added: added.files, removed: removed.files, changed: changed.files };
  const words = toWords('file', counts);
  return words === undefined ? 'the same files\n' : `${words} (${toSigned(grownBy)})\n`;
}

/** The parts that the options choose. */
export interface DiffParts {
  readonly settings?: boolean;
  readonly packages?: boolean;
  readonly files?: boolean;
}

/** Formats the chosen parts; without a choice all parts, but only the largest differences of files. */
export function formatParts(
  diff: FileDiff & { readonly settings: readonly SettingChange[] },
  { settings, packages, files }: DiffParts,
  packageTable = '',
): string {
  const isChosen = (settings ?? packages ?? files) === true;
  return [
    isChosen && !settings ? '' : formatSettings(diff.settings),
    isChosen && !packages ? '' : packageTable,
    isChosen && !files ? '' : formatFiles(diff, files ? Number.POSITIVE_INFINITY : MOST_FILES),
  ].join('');
}

function formatSettings(settings: readonly SettingChange[]): string {
  if (settings.length === 0) return '';
  const rows = settings.map(({ change, name, before, after }) => [
    MARKS[change],
    name,
    before ?? '-',
    after ?? '-',
  ]);
  return `\n${formatTable(['', 'SETTING', 'BEFORE', 'AFTER'], rows)}`;
}

/** If not all files are shown, the largest differences come first. */
function formatFiles({ files, totals }: FileDiff, most: number): string {
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

const toSize = (bytes: number | null) => (bytes === null ? '-' : formatBytes(bytes));
export const toSigned = (bytes: number) =>
  `${bytes < 0 ? '-' : '+'}${formatBytes(Math.abs(bytes))}`;
const weightOf = ({ beforeBytes, afterBytes }: FileChange) =>
  Math.abs((afterBytes ?? 0) - (beforeBytes ?? 0));
