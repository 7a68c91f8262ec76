/** How the command line writes tables, sizes, times and progress. */
import fc from 'fast-check';
import { describe, expect, it, test, vi } from 'vitest';
import { glyphsFor } from '../../src/cli/print/draw-bars.ts';
import { formatAge, formatBytes } from '../../src/cli/print/format-quantities.ts';
import { formatTable } from '../../src/cli/print/format-table.ts';
import { toJsonText, toPrintableLines } from '../../src/cli/print/printable.ts';
import { isUtf8, type ProgressStream } from '../../src/cli/print/terminal.ts';
import { shorten, widthOf, wrapText } from '../../src/cli/print/text-width.ts';
import { openBuildProgress } from '../../src/cli/progress/build-progress-view.ts';
import { createRateMeter, toBarLine } from '../../src/cli/progress/progress-bar.ts';
import { reportPhases } from '../../src/cli/run/report-phases.ts';
import { toPrintable } from '../../src/core/errors.ts';
import { parseTaskId } from '../../src/core/ids.ts';
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

  it('align wide characters', () => {
    expect(
      formatTable(
        ['A', 'B'],
        [
          ['日本', 'x'],
          ['abc', 'y'],
        ],
      ),
    ).toBe('A      B\n日本   x\nabc    y\n');
  });

  const wide = [
    ['id-1', 'a long description of what it is', 'label=1'],
    ['id-2-is-never-cut', 'short', ''],
  ];
  const HEADER = ['ID', 'WHAT IT IS', 'LABELS'];

  it('lose the ends of the widest cells where the width does not suffice, but never of the first column', () => {
    expect(formatTable(HEADER, wide, { width: 50 })).toBe(
      [
        'ID                  WHAT IT IS             LABELS',
        'id-1                a long description …   label=1',
        'id-2-is-never-cut   short\n',
      ].join('\n'),
    );
    // Columns stand closer together before the table becomes too wide.
    expect(formatTable(HEADER, wide, { width: 37 }).split('\n')[1]).toBe(
      'id-1               a long d…  label=1',
    );
    const narrow = formatTable(HEADER, wide, { width: 5 }).split('\n');
    expect(narrow[1]).toBe('id-1               a long …  label=1');
  });

  it('are whole where they fit, and when asked', () => {
    const whole = formatTable(HEADER, wide);
    expect(formatTable(HEADER, wide, { width: 62 })).toBe(whole);
    expect(formatTable(HEADER, wide, { width: 20, whole: true })).toBe(whole);
    expect(whole).toContain('of what it is   label=1');
  });

  it('shorten some columns before others', () => {
    const rows = [['1', 'x'.repeat(20), 'y'.repeat(16)]];
    const lines = formatTable(['A', 'B', 'C'], rows, { width: 36, cut: ['C'] });
    expect(lines.split('\n')[1]).toBe(`1   ${'x'.repeat(20)}   ${'y'.repeat(8)}…`);
    const more = formatTable(['A', 'B', 'C'], rows, { width: 30, cut: ['C'] });
    expect(more.split('\n')[1]).toBe(`1   ${'x'.repeat(14)}…   yyyyyyy…`);
  });

  it('wrap the last column where that keeps everything', () => {
    expect(
      formatTable(['K', 'V'], [['key', 'some words that are long']], { width: 26, wrap: true }),
    ).toBe('K     V\nkey   some words that are\n      long\n');
  });

  it('never exceed a width that suffices for every column', () => {
    const cell = fc.string({ unit: 'grapheme', maxLength: 40 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constant('id'), cell, cell), { maxLength: 4 }), (rows) => {
        for (const line of formatTable(['A', 'B', 'C'], rows, { width: 30 }).split('\n'))
          expect(widthOf(line)).toBeLessThanOrEqual(30);
      }),
    );
  });

  it('have one line for each row, whatever its cells contain', () => {
    const cell = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 3 }), (rows) => {
        const lines = formatTable(['A', 'B'], rows).split('\n');
        expect(lines).toHaveLength(rows.length + 2);
        for (const line of lines) expect(line).not.toMatch(/\p{C}/u);
      }),
      { numRuns: 40 },
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
  // Wide characters take two cells, combining ones none.
  expect(shorten('🙂🙂🙂', 5)).toBe('🙂🙂…');
  expect(shorten('🙂🙂🙂', 4)).toBe('🙂…');
  expect(shorten('日本語', 6)).toBe('日本語');
  expect(shorten('e\u0301e\u0301e\u0301', 2)).toBe('e\u0301…');
  expect(shorten('123', 0)).toBe('');
});

test('text is wrapped between words, and long words anywhere', () => {
  expect(wrapText('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrapText('a 1234567 b', 4)).toEqual(['a', '1234', '567', 'b']);
  expect(wrapText('日本語', 1)).toEqual(['日', '本', '語']);
  expect(wrapText('', 5)).toEqual(['']);
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

  function record(stream: Omit<ProgressStream, 'write'>) {
    const written: string[] = [];
    return { written, stream: { ...stream, write: (text: string) => void written.push(text) } };
  }

  it('is one line for each step in a log', () => {
    const { written, stream } = record({ isTTY: false });
    const view = openBuildProgress(stream);
    for (const progress of told) view.onProgress(progress);
    view.onProgress({ kind: 'line', step: 'smoke', text: 'x'.repeat(100) }, 'a-stack');
    view.close();
    expect(written.join('')).toBe(
      [
        '- build x',
        '    a line \\u{1b}[2J of the builder',
        '    layer 1 of 2: 2.0 KiB',
        '    layer 2 of 2: stored already',
        '    left out',
        `    a-stack: ${'x'.repeat(100)}\n`,
      ].join('\n'),
    );
  });

  it('is only warnings where a program reads the output', () => {
    const { written, stream } = record({ isTTY: true });
    const view = openBuildProgress(stream, { quiet: true });
    for (const progress of told) view.onProgress(progress);
    view.close();
    expect(written).toEqual(['left out\n']);
  });

  it('is drawn again on a terminal: lines that stay above, bars below, the cursor hidden meanwhile', async () => {
    const { written, stream } = record({ isTTY: true, columns: 60, rows: 24 });
    const view = openBuildProgress(stream, { glyphs: glyphsFor(false) });
    view.onProgress({ kind: 'step', step: 'build', text: 'build x' });
    expect(written).toEqual(['- build x\n']);
    view.onProgress(layer(1024), 'one');
    view.onProgress({ kind: 'line', step: 'build', text: '\u001b[2J日本'.repeat(20) }, 'two');
    await vi.waitFor(() => expect(written.length).toBeGreaterThan(2));
    expect(written[1]).toBe('\u001b[?25l');
    const frame = (written[2] ?? '')
      .replace('\u001b[?2026h', '')
      .replace('\u001b[?2026l', '')
      .split('\n');
    expect(frame[0]).toMatch(/^ {4}one: layer 1 of 2 #+\.+ {2}50% {2}1\.0 KiB of 2\.0 KiB$/);
    expect(frame[1]).toMatch(/^ {4}two: \\u\{1b\}\[2J日本.*…$/);
    for (const line of frame) expect(widthOf(line)).toBeLessThan(60);
    view.onProgress(layer(2048), 'one');
    expect(written).toContain('    one: layer 1 of 2: 2.0 KiB\n');
    view.close();
    view.close();
    expect(written.at(-1)).toBe('\u001b[?25h');
    expect(written.filter((text) => text === '\u001b[?25h')).toHaveLength(1);
  });

  it('shows the cursor again when the process exits in the middle', async () => {
    const { written, stream } = record({ isTTY: true, columns: 60 });
    const before = process.listeners('exit');
    const view = openBuildProgress(stream);
    view.onProgress(layer(1024));
    await vi.waitFor(() => expect(written).toContain('\u001b[?25l'));
    for (const listener of process.listeners('exit')) {
      if (!before.includes(listener)) listener.call(process, 1);
    }
    expect(written.at(-1)).toBe('\u001b[?25h');
    view.close();
    expect(process.listeners('exit')).toEqual(before);
    expect(written.filter((text) => text === '\u001b[?25h')).toHaveLength(1);
  });

  it('has lines of at most 79 cells if the terminal does not report its width', async () => {
    const { written, stream } = record({ isTTY: true, columns: 0 });
    const view = openBuildProgress(stream);
    view.onProgress({ kind: 'line', step: 'smoke', text: 'x'.repeat(100) });
    await vi.waitFor(() => expect(written.join('')).toContain(`    ${'x'.repeat(74)}…`));
    view.close();
  });
});

describe('a bar', () => {
  const bar = { label: 'layer 1 of 3', done: 1, total: 4, amount: '1 of 4' };

  it('gives way where the width does not suffice, then the text', () => {
    const glyphs = glyphsFor(true);
    expect(toBarLine(bar, 80, glyphs)).toBe(
      `layer 1 of 3 ${'█'.repeat(7)}${'░'.repeat(23)}  25%  1 of 4`,
    );
    expect(toBarLine(bar, 36, glyphs)).toBe('layer 1 of 3 ██░░░░░░░░  25%  1 of 4');
    expect(toBarLine(bar, 30, glyphs)).toBe('layer 1 of 3  25%  1 of 4');
    expect(toBarLine(bar, 12, glyphs)).toBe('layer 1 of …');
  });

  it('is full where there is nothing to do, and never more than full', () => {
    expect(toBarLine({ ...bar, total: 0 }, 80, glyphsFor(true))).toContain('100%');
    expect(toBarLine({ ...bar, done: 9 }, 80, glyphsFor(true))).toContain('100%');
  });

  it('tells the rate once it can be told', () => {
    let now = 5000;
    const meter = createRateMeter(() => now);
    expect(meter(512, 2048)).toBe('512 B of 2.0 KiB');
    now += 2000;
    expect(meter(2048, 4096)).toBe('2.0 KiB of 4.0 KiB  1.0 KiB/s');
  });
});

describe('what a terminal can show', () => {
  it.each([
    [{ LANG: 'de_DE.UTF-8' }, true],
    [{ LC_ALL: 'C', LANG: 'de_DE.UTF-8' }, false],
    [{ LC_ALL: '', LC_CTYPE: 'C.utf8' }, true],
    [{ LANG: 'POSIX' }, false],
    [{}, false],
  ])('follows from the locale: %j', (env, expected) => {
    expect(isUtf8(env)).toBe(expected);
  });
});

describe('the phases of a task', () => {
  it('are told once each, with the time', () => {
    let now = 100;
    const lines: string[] = [];
    const { onPhase, onEvent } = reportPhases(
      (line) => lines.push(line),
      () => now,
    );
    now = 106.25;
    onPhase('assemble');
    onPhase('configure');
    onPhase('assemble');
    const id = parseTaskId('job-1');
    onEvent({ type: 'created', id, pid: 42 });
    onEvent({ type: 'output', id, stream: 'stdout', chunk: Buffer.from('x') });
    onEvent({ type: 'exited', id, exitCode: 3, signal: null });
    expect(lines).toEqual([
      'stackshim:     0.0 ms  resolve',
      'stackshim:     6.3 ms  assemble',
      'stackshim:     6.3 ms  configure',
      'stackshim:     6.3 ms  - the container exists; its first process is 42',
      'stackshim:     6.3 ms  - it ended: exit code 3',
    ]);
  });
});
