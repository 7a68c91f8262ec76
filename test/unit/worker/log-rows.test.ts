/** The output of a task as rows of a log. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toStorable, toStorableText } from '../../../src/worker/job/storable.ts';
import { JobLog } from '../../../src/worker/run/job-log.ts';
import { LogRows, ROW_BYTES } from '../../../src/worker/run/log-rows.ts';

const read = (rows: readonly string[]) => rows.map((row) => JSON.parse(row));
const bytesOf = ({ d, b }: { readonly d?: string; readonly b?: string }) =>
  d === undefined ? Buffer.from(b ?? '', 'base64') : Buffer.from(d);

describe('rows', () => {
  it('join the output of one stream, and keep the order of both', () => {
    const rows = new LogRows(3);
    rows.add('out', Buffer.from('a'), 1);
    rows.add('out', Buffer.from('b'), 2);
    rows.add('err', Buffer.from('c'), 3);
    rows.add('out', Buffer.from('d'), 4);
    expect(rows.bytes).toBe(4);
    expect(read(rows.take(true))).toEqual([
      { a: 3, t: 1, s: 'out', d: 'ab' },
      { a: 3, t: 3, s: 'err', d: 'c' },
      { a: 3, t: 4, s: 'out', d: 'd' },
    ]);
    expect(rows.take(true)).toEqual([]);
  });

  it('do not divide a character', () => {
    const rows = new LogRows(1);
    const [first, ...rest] = Buffer.from('☃');
    rows.add('out', Buffer.from([0x61, first ?? 0]), 1);
    expect(read(rows.take(false))).toMatchObject([{ d: 'a' }]);
    rows.add('err', Buffer.from('!'), 2);
    rows.add('out', Buffer.from(rest), 3);
    expect(read(rows.take(true))).toMatchObject([{ d: '!' }, { d: '☃' }]);
  });

  it('give the beginning of a character as bytes if the rest never comes', () => {
    const rows = new LogRows(1);
    rows.add('out', Buffer.from([0xe2, 0x98]), 1);
    expect(rows.take(false)).toEqual([]);
    expect(read(rows.take(true))).toMatchObject([{ s: 'out', b: '4pg=' }]);
  });

  it('have all bytes, in order, none of them longer than the bound', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 40_000 }), { maxLength: 6 });
    fc.assert(
      fc.property(pieces, fc.boolean(), (chunks, isTakenEarly) => {
        const rows = new LogRows(1);
        const taken: string[] = [];
        for (const chunk of chunks) {
          rows.add('out', chunk, 0);
          if (isTakenEarly) taken.push(...rows.take(false));
        }
        taken.push(...rows.take(true));
        const parts = read(taken).map(bytesOf);
        expect(Buffer.concat(parts)).toEqual(Buffer.concat(chunks));
        for (const part of parts) expect(part.length).toBeLessThanOrEqual(ROW_BYTES + 3);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a log', () => {
  it('counts its rows, too: output in single bytes of two streams in turn is bounded', async () => {
    const written: string[] = [];
    const log = new JobLog({
      write: async (rows) => void written.push(...rows),
      attempt: 1,
      mostBytes: 65_536,
      onFailure: (error) => expect.unreachable(String(error)),
    });
    for (let at = 0; at < 20_000; at += 1) {
      log.add('out', Buffer.from('o'));
      log.add('err', Buffer.from('e'));
    }
    await log.end();
    expect(written.length).toBeLessThan(1_000);
    expect(read(written).at(-1).d).toMatch(/\d+ further bytes of output were not kept/);
  });
});

it('a log goes on after rows that could not be written, and says how much is missing', async () => {
  const written: string[] = [];
  const failures: unknown[] = [];
  let refusals = 2;
  const log = new JobLog({
    write(rows) {
      refusals -= 1;
      if (refusals >= 0) return Promise.reject(new Error('no space left'));
      written.push(...rows);
      return Promise.resolve();
    },
    attempt: 1,
    mostBytes: 1_000_000,
    onFailure: (error) => failures.push(error),
  });
  log.add('out', Buffer.alloc(20_000, 'a'));
  log.add('out', Buffer.alloc(20_000, 'b'));
  log.add('out', Buffer.from('last\n'));
  await log.end();
  expect(failures).toHaveLength(1);
  expect(read(written).map(({ d }) => d)).toEqual([
    'last\n',
    '\n[stackshim: 40000 further bytes of output were not kept]\n',
  ]);
});

describe('texts that are stored', () => {
  it('have no NUL and no half of a pair, and a bounded length', () => {
    expect(toStorableText('a\0b\ud800c\u{1f600}')).toBe('a\ufffdb\ufffdc\u{1f600}');
    expect(toStorableText('x'.repeat(20), 10)).toBe(`${'x'.repeat(9)}…`);
    expect(toStorableText(`${'x'.repeat(8)}\u{1f600}yyy`, 10)).toBe(`${'x'.repeat(8)}\ufffd…`);
  });

  it('are made of all texts of a value', () => {
    const value = { a: ['\0', 1, null, true], '\0b': { c: '\udfff' } };
    expect(toStorable(value)).toEqual({ a: ['\ufffd', 1, null, true], '\ufffdb': { c: '\ufffd' } });
  });
});
