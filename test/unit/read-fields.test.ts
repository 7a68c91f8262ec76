/** How readers check values from outside, and how they name the faulty field. */
import { describe, expect, it, test } from 'vitest';
import {
  allOptional,
  date,
  flag,
  integer,
  listOf,
  mapOf,
  numberOr,
  objectOf,
  oneOf,
  optional,
  orNull,
  type Reader,
  readWith,
  text,
  textThat,
  textUpTo,
} from '../../src/core/read-fields.ts';

interface Place {
  readonly name: string;
  readonly port?: number | undefined;
  readonly tags: readonly string[];
}

const place = objectOf<Place>({
  name: textUpTo(5),
  port: optional(integer(1, 9)),
  tags: listOf(text, 2, 1),
});
const places = mapOf(
  place,
  textThat((name) => /^[a-z]+$/.test(name), 'not a name'),
);
const read = <T>(reader: Reader<T>, value: unknown): T =>
  readWith(reader, value, ({ message }) => new Error(message));

describe('a valid value', () => {
  it('is copied without undefined fields', () => {
    const tags = ['x'];
    const given = { home: { name: 'here', port: undefined, tags } };
    const found = read(places, given);
    expect(found).toStrictEqual({ home: { name: 'here', tags: ['x'] } });
    tags.push('later');
    expect(found['home']?.tags).toEqual(['x']);
  });

  it.each<[Reader<unknown>, unknown]>([
    [flag, false],
    [orNull(flag), null],
    [integer(0), 0],
    [integer(1, 9), 9],
    [numberOr(text), 1.5],
    [numberOr(text), '1.5'],
    [oneOf<string | number>('a', 1), 1],
    [date, '2026-02-28T23:59:59.123Z'],
    [listOf(flag), []],
    [objectOf(allOptional<{ a?: string }>({ a: text })), {}],
  ])('is returned: %#', (reader, value) => {
    expect(read(reader, value)).toEqual(value);
  });
});

describe('an invalid value', () => {
  const sound = { name: 'a', tags: ['x'] };
  const inherited = Object.assign(Object.create({ more: 1 }), sound);
  const withPrototype = JSON.parse('{"__proto__": {}}');

  it.each<[Reader<unknown>, unknown, string]>([
    [place, [], 'not an object'],
    [place, null, 'not an object'],
    [place, {}, 'name: not a string'],
    [place, { ...sound, name: 'longer' }, 'name: more than 5 characters'],
    [place, { ...sound, port: 10 }, 'port: not a whole number from 1 to 9'],
    [place, { ...sound, port: null }, 'port: not a whole number from 1 to 9'],
    [place, { ...sound, tags: [] }, 'tags: fewer than 1 elements'],
    [place, { ...sound, tags: ['', '', ''] }, 'tags: more than 2 elements'],
    [place, { ...sound, tags: ['', 1] }, 'tags[1]: not a string'],
    [place, { ...sound, tags: { length: 1 } }, 'tags: not an array'],
    [place, { ...sound, more: 1 }, 'more: no such field'],
    [place, { ...sound, ['x'.repeat(300)]: 1 }, `${'x'.repeat(200)}…: no such field`],
    [place, inherited, 'more: no such field'],
    [places, { a: {} }, 'a.name: not a string'],
    [places, { A: sound }, 'not a name'],
    [places, new Map(), 'not an object'],
    [objectOf({ all: places }), { all: { A: sound } }, 'all: not a name'],
    [mapOf(text), withPrototype, 'this key is not allowed'],
    [objectOf({}), withPrototype, '__proto__: no such field'],
    [integer(0), 2 ** 53, 'not a whole number from 0 on'],
    [integer(0), '1', 'not a whole number from 0 on'],
    [numberOr(text), Number.NaN, 'not a string and not a number'],
    [oneOf<string | number>('a', 1), '1', 'not "a" or 1'],
    [date, '2026-02-30', 'not a date and time of ISO 8601, UTC'],
  ])('gives an error that names the field: %#', (reader, value, message) => {
    expect(() => read(reader, value)).toThrow(new Error(message));
  });

  test('gives that error even if reading it throws', () => {
    const hostile = {
      get name() {
        throw new RangeError('boo');
      },
    };
    expect(() => read(place, hostile)).toThrow(new Error('not valid'));
  });
});
