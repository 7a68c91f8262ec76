/** Environment entries, env files and labels. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEnvEntries, parseEnvFile, parseLabelEntries } from '../../src/spec/parse-entries.ts';

const caller = { HOME: '/home/me', EMPTY: '' };
const invalid = (field: string) =>
  expect.objectContaining({
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    details: expect.objectContaining({ field }),
  });

describe('parseEnvEntries', () => {
  test('accepts K=V, and K alone from the caller; a later entry wins', () => {
    const entries = ['A=1', 'B=', 'C=x=y', 'HOME', 'EMPTY', 'MISSING', 'A=2', 'my.var-1=ü'];
    expect(parseEnvEntries(entries, caller)).toEqual({
      A: '2',
      B: '',
      C: 'x=y',
      HOME: '/home/me',
      EMPTY: '',
      'my.var-1': 'ü',
    });
  });

  test('takes no variables of the caller from Object.prototype', () => {
    expect(parseEnvEntries(['toString', 'constructor=1'], caller)).toEqual({ constructor: '1' });
  });

  test.each(['', '=', '=V', 'A B=1', 'A\n=1', 'A\0=1', '__proto__=1', `${'N'.repeat(256)}=1`])(
    'refuses %j',
    (entry) => {
      expect(() => parseEnvEntries([entry], caller)).toThrow(invalid('env'));
    },
  );

  test('limits the length of values and refuses NUL', () => {
    expect(() => parseEnvEntries(['A=\0'], caller)).toThrow(invalid('env.A'));
    expect(() => parseEnvEntries([`A=${'x'.repeat(131_071)}`], caller)).toThrow(invalid('env.A'));
    const many = Array.from({ length: 4097 }, (_, i) => `N${i}=`);
    expect(() => parseEnvEntries(many, caller)).toThrow(invalid('env'));
    const large = Array.from({ length: 11 }, (_, i) => `N${i}=${'x'.repeat(100_000)}`);
    expect(() => parseEnvEntries(large, caller)).toThrow(invalid('env'));
  });
});

describe('parseEnvFile', () => {
  test('reads docker’s format', () => {
    const text =
      '\uFEFF# comment\r\nA=1\r\n\n   \n  B= "quoted" # kept \n#C=1\nHOME\nMISSING\nA=2\nLAST=x';
    expect(parseEnvFile(text, caller)).toEqual({
      A: '2',
      B: ' "quoted" # kept ',
      HOME: '/home/me',
      LAST: 'x',
    });
  });

  test('names a bad line', () => {
    expect(() => parseEnvFile('A=1\n\nB C=1\n', caller)).toThrow(invalid('envFile line 3'));
    expect(() => parseEnvFile('=1', caller)).toThrow(invalid('envFile line 1'));
    expect(() => parseEnvFile('x'.repeat(1_048_577), caller)).toThrow(invalid('envFile'));
  });

  test('returns any names and single-line values', () => {
    const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/);
    const value = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n\0]/.test(text));
    fc.assert(
      fc.property(fc.dictionary(name, value, { noNullPrototype: true }), (env) => {
        const text = Object.entries(env).map(([key, text]) => `${key}=${text}\n`);
        expect(parseEnvFile(text.join(''), {})).toEqual(env);
      }),
    );
  });
});

describe('parseLabelEntries', () => {
  test('accepts keys with and without values', () => {
    expect(parseLabelEntries(['a=1', 'io.x/y-z_0=', 'flag', 'a=2=3'])).toEqual({
      a: '2=3',
      'io.x/y-z_0': '',
      flag: '',
    });
  });

  test.each(['', '=v', '.a=1', 'a b=1', '__proto__=1', `${'k'.repeat(129)}=1`])(
    'refuses %j',
    (entry) => {
      expect(() => parseLabelEntries([entry])).toThrow(invalid('labels'));
    },
  );

  test('limits the length of values', () => {
    expect(() => parseLabelEntries([`a=${'x'.repeat(4097)}`])).toThrow(invalid('labels.a'));
    expect(() => parseLabelEntries(Array.from({ length: 129 }, (_, i) => `k${i}`))).toThrow(
      invalid('labels'),
    );
  });
});
