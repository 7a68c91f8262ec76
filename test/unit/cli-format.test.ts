/** How the command line writes tables, sizes, times and progress. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { openBuildProgress, type ProgressStream } from '../../src/cli/build-progress-view.ts';
import { formatAge, formatBytes } from '../../src/cli/format-quantities.ts';
import { formatTable, shorten } from '../../src/cli/format-table.ts';
import { toJsonText, toPrintable, toPrintableLines } from '../../src/cli/printable.ts';
import type { BuildProgress } from '../../src/exchange/progress.ts';

describe('tables', () => {
  it('align every column but the last', () => {
    const table = formatTable(
      ['A', 'BB', 'C'],
      [
        ['long', 'x', 'last one'],
        ['ü', 'yyyy', ''],
      ],
    );
    expect(table).toBe('A      BB     C\nlong   x      last one\nü      yyyy\n');
  });

  it('have one line for each row, whatever its cells contain', () => {
    const cell = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 3 }), (rows) => {
        const lines = formatTable(['A', 'B'], rows).split('\n');
        expect(lines).toHaveLength(rows.length + 2);
        for (const line of lines) expect(line).not.toMatch(/\p{C}/u);
      }),
    );
  });
});

test('control characters are shown, not sent to the terminal', () => {
  expect(toPrintable('a\u001b[31mb\nc\td\u202ee\u0000')).toBe(
    'a\\u{1b}[31mb\\nc\\td\\u{202e}e\\u{0}',
  );
  expect(toPrintable('grün 日本 🙂')).toBe('grün 日本 🙂');
});

const HOSTILE = 'a\u001b]0;title\u0007\u009b31m\u202eb\u2066\u2028\u007f\r\u{e0001}';

test('lines stay lines, and nothing in them controls the terminal', () => {
  expect(toPrintableLines(`1\n\t2${HOSTILE}\n`)).toBe(
    '1\n\t2a\\u{1b}]0;title\\u{7}\\u{9b}31m\\u{202e}b\\u{2066}\\u{2028}\\u{7f}\\u{d}\\u{e0001}\n',
  );
});

test('JSON escapes what would control a terminal, and parses to the same value', () => {
  const value = { text: HOSTILE, [HOSTILE]: ['grün', '🙂'] };
  for (const indent of [undefined, 2]) {
    const text = toJsonText(value, indent);
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect(text).toContain('🙂');
    expect(JSON.parse(text)).toEqual(value);
  }
});

test('long text is cut and ends in …', () => {
  expect(shorten('12345', 5)).toBe('12345');
  expect(shorten('123456', 5)).toBe('1234…');
  expect(shorten('🙂🙂🙂', 2)).toBe('🙂…');
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [10_188, '9.9 KiB'],
  [10_189, '10 KiB'],
  [1_048_063, '1023 KiB'],
  [1_048_064, '1.0 MiB'],
  [145_752_064, '139 MiB'],
  [5 * 1024 ** 4, '5.0 TiB'],
  [5000 * 1024 ** 4, '5000 TiB'],
])('%i bytes are %s', (bytes, expected) => {
  expect(formatBytes(bytes)).toBe(expected);
});

test.each([
  [-5000, '0s'],
  [999, '0s'],
  [59_999, '59s'],
  [60_000, '1m'],
  [3_599_999, '59m'],
  [3_600_000, '1h'],
  [86_400_000, '1d'],
  [400 * 86_400_000, '400d'],
])('%i ms are %s', (ageMs, expected) => {
  expect(formatAge(ageMs)).toBe(expected);
});

describe('the progress of a build', () => {
  const layer = (doneBytes: number, more = {}): BuildProgress => ({
    kind: 'layer',
    layer: 1,
    layers: 2,
    doneBytes,
    totalBytes: 2048,
    reused: false,
    ...more,
  });
  const told: readonly BuildProgress[] = [
    { kind: 'step', step: 'build', text: 'build x' },
    { kind: 'line', step: 'build', text: 'a line \u001b[2J of the builder' },
    layer(0),
    layer(1024),
    layer(2048),
    layer(0, { layer: 2, reused: true }),
    { kind: 'warning', step: 'import', text: 'left out' },
  ];

  function watch(stream: Omit<ProgressStream, 'write'>): string {
    let written = '';
    const view = openBuildProgress({
      ...stream,
      write: (text) => {
        written += text;
      },
    });
    for (const progress of told) view.onProgress(progress);
    view.onProgress({ kind: 'line', step: 'smoke', text: 'x'.repeat(100) });
    view.close();
    view.close();
    return written;
  }

  it('is one line for each step in a log', () => {
    expect(watch({ isTTY: false })).toBe(
      [
        '- build x',
        '    a line \\u{1b}[2J of the builder',
        '    layer 1 of 2: 2.0 KiB',
        '    layer 2 of 2: stored already',
        '    left out',
        `    ${'x'.repeat(100)}\n`,
      ].join('\n'),
    );
  });

  it('is rewritten in place on a terminal, and never wider than the terminal', () => {
    const CLEAR = '\r\u001b[K';
    expect(watch({ isTTY: true, columns: 60 })).toBe(
      [
        '- build x\n',
        `${CLEAR}    a line \\u{1b}[2J of the builder`,
        `${CLEAR}    [${'.'.repeat(24)}] layer 1 of 2: 0 B of 2.0 KiB`,
        `${CLEAR}    [${'#'.repeat(12)}${'.'.repeat(12)}] layer 1 of 2: 1.0 KiB of 2.…`,
        `${CLEAR}    layer 1 of 2: 2.0 KiB\n`,
        '    layer 2 of 2: stored already\n',
        '    left out\n',
        `${CLEAR}    ${'x'.repeat(54)}…`,
        CLEAR,
      ].join(''),
    );
  });

  it('assumes 80 columns if the terminal does not report its width', () => {
    expect(watch({ isTTY: true, columns: 0 })).toContain(`    ${'x'.repeat(74)}…`);
  });
});
