/** Bytes, durations, cpus and counts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StackshimError } from '../../src/core/errors.ts';
import { parseBytes, parseCount, parseCpus, parseDuration } from '../../src/spec/quantities.ts';

const anyDuration = { min: 0, max: Number.MAX_SAFE_INTEGER };

function problemOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    return { code: error.code, ...error.details };
  }
}

const refused = (field: string, value: unknown) => ({
  code: 'ERR_STACKSHIM_SPEC_INVALID',
  field,
  value,
});

describe('parseBytes', () => {
  test.each([
    ['0', 0],
    ['512', 512],
    ['512b', 512],
    ['1k', 1024],
    ['256m', 268_435_456],
    ['256M', 268_435_456],
    ['256mb', 268_435_456],
    ['256MiB', 268_435_456],
    ['1.5g', 1_610_612_736],
    ['1 g', 1_073_741_824],
    ['2t', 2_199_023_255_552],
    ['0.3k', 307],
    [4096, 4096],
  ])('reads %j as %d bytes', (given, bytes) => {
    expect(parseBytes(given, 'memory')).toBe(bytes);
  });

  test.each([
    '',
    ' ',
    'm',
    '-1',
    '-1m',
    '+1',
    '1e3',
    '0x10',
    '1mm',
    '1x',
    '1ib',
    '1,5g',
    ' 1',
    '1 ',
    '1\n',
    'NaN',
    'Infinity',
    '9007199254740992',
    '99999999t',
    '1'.repeat(5000),
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
  ])('refuses %j', (given) => {
    expect(problemOf(() => parseBytes(given, 'memory'))).toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      field: 'memory',
    });
  });

  test('accepts both bounds', () => {
    expect(parseBytes('4m', 'memory', { min: 4_194_304 })).toBe(4_194_304);
    expect(problemOf(() => parseBytes('4095k', 'memory', { min: 4_194_304 }))).toEqual(
      refused('memory', '4095k'),
    );
    expect(problemOf(() => parseBytes(11, 'memory', { max: 10 }))).toEqual(refused('memory', 11));
  });

  test('returns a whole number of bytes for whatever it accepts', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.double(), fc.integer()), (given) => {
        const result = problemOf(() => parseBytes(given, 'f'));
        return typeof result === 'number' ? Number.isSafeInteger(result) && result >= 0 : true;
      }),
    );
  });
});

describe('parseDuration', () => {
  test.each([
    ['500ms', 500],
    ['60s', 60_000],
    ['1m30s', 90_000],
    ['2h', 7_200_000],
    ['1h1m1s1ms', 3_661_001],
    ['1.5s', 1500],
    ['10', 10_000],
    ['0.25', 250],
    [250, 250],
    [0, 0],
  ])('reads %j as %d ms', (given, ms) => {
    expect(parseDuration(given, 'timeout', anyDuration)).toBe(ms);
  });

  test.each([
    '',
    's',
    '-1s',
    '1d',
    '1 s',
    '1s ',
    '1s1',
    '1e3',
    'NaN',
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ])('refuses %j', (given) => {
    expect(problemOf(() => parseDuration(given, 'timeout', anyDuration))).toEqual(
      refused('timeout', given),
    );
  });

  test('accepts both bounds', () => {
    const bounds = { min: 1, max: 1000 };
    expect(parseDuration('1s', 'timeout', bounds)).toBe(1000);
    for (const given of ['0', 0, -1, '1001ms', 1001, '0.0001']) {
      expect(problemOf(() => parseDuration(given, 'timeout', bounds))).toEqual(
        refused('timeout', given),
      );
    }
  });

  test('reads text of several parts as their sum', () => {
    const part = fc.nat({ max: 9999 });
    fc.assert(
      fc.property(part, part, part, part, (h, m, s, ms) => {
        const text = `${h}h${m}m${s}s${ms}ms`;
        const sum = h * 3_600_000 + m * 60_000 + s * 1000 + ms;
        expect(parseDuration(text, 'f', anyDuration)).toBe(sum);
      }),
    );
  });
});

describe('parseCpus and parseCount', () => {
  test('read numbers and text', () => {
    expect(parseCpus('0.5', 'cpus')).toBe(0.5);
    expect(parseCpus(2, 'cpus')).toBe(2);
    expect(parseCpus('0.01', 'cpus')).toBe(0.01);
    expect(parseCount('256', 'pidsLimit', { min: 1, max: 1000 })).toBe(256);
  });

  test.each(['', '0', '-1', '1e1', 'x', 0, -1, 0.009, Number.NaN, Number.POSITIVE_INFINITY, 8193])(
    'refuse %j as a number of cpus',
    (given) => {
      expect(problemOf(() => parseCpus(given, 'cpus'))).toEqual(refused('cpus', given));
    },
  );

  test.each(['', '0', '-1', '1.5', 0, -1, 1.5, 1001, Number.NaN])(
    'refuse %j as a count',
    (given) => {
      expect(problemOf(() => parseCount(given, 'pidsLimit', { min: 1, max: 1000 }))).toEqual(
        refused('pidsLimit', given),
      );
    },
  );
});
