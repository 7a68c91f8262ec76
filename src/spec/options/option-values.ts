/** Readers, parsers and JSON schemas of values that several options have. */
import {
  FieldFault,
  flag,
  isObject,
  listOf,
  mapOf,
  numberOr,
  type Reader,
  text,
  textUpTo,
} from '../../core/read-fields.ts';
import { invalidField } from '../field-errors.ts';
import {
  type Bounds,
  BYTES,
  DECIMAL,
  DURATION,
  parseBytes,
  parseCount,
  parseCpus,
  parseDuration,
  showBytes,
  showDuration,
} from '../quantities.ts';
import { SPEC_BOUNDS as BOUNDS } from '../spec-bounds.ts';
import type { JsonSchema, OptionValue, Quantity } from './option-row.ts';

type Parse<T, V> = (value: T, field: string) => V;

/** Reads an option's text: a quantity, a name, a path. */
export const readText = textUpTo(BOUNDS.optionChars);
export const readWords = listOf(text, BOUNDS.commandElements);
/** Reads a line for a shell, or a program and its arguments. */
export const readLineOrWords: Reader<string | readonly string[]> = (value, field) =>
  typeof value === 'string' ? value : readWords(value, field);

/** Reads text, or an object. */
export const textOr =
  <T extends object>(object: Reader<T>): Reader<string | T> =>
  (value, field) => {
    if (typeof value === 'string') return readText(value, field);
    if (isObject(value)) return object(value, field);
    throw new FieldFault(field, 'not a string and not an object');
  };

export const NO_NUL = '^[^\\u0000]*$';

const FLAG: OptionValue<boolean, boolean> = {
  read: flag,
  parse: (value) => value,
  schema: { type: 'boolean' },
};

/** The values of an option that is off unless it is given. */
export const SWITCH = { value: FLAG, absent: false } as const;

/** Text that `parse` accepts only if all of it matches this pattern (`RegExp.source`, no flags). */
export const textOf = <V>(parse: Parse<string, V>, pattern = ''): OptionValue<string, V> => ({
  read: readText,
  parse,
  schema: { type: 'string', maxLength: BOUNDS.optionChars, pattern },
});

/** @param problem Completes the sentence `<field> <value>: …`. */
export const textLike = (pattern: RegExp, problem: string): OptionValue<string, string> =>
  textOf((value, field) => {
    if (pattern.test(value)) return value;
    throw invalidField(field, problem, value);
  }, pattern.source);

export const wordOf = <const T extends string>(...words: readonly T[]): OptionValue<string, T> => ({
  read: readText,
  parse(value, field) {
    const found = words.find((one) => one === value);
    if (found !== undefined) return found;
    throw invalidField(field, `not ${words.join(' or ')}`, value);
  },
  schema: { enum: words },
});

/** A list of texts that `parse` reads one by one. */
export const listOfTexts = <V>(
  parse: Parse<string, V>,
  most: number,
  pattern = '',
): OptionValue<readonly string[], readonly V[]> => ({
  read: listOf(readText, most),
  parse: (values, field) => values.map((value, i) => parse(value, `${field}[${i}]`)),
  schema: { type: 'array', maxItems: most, items: { type: 'string', pattern } },
});

/** A map of names to texts, bounded by `check`. */
export const mapOfTexts = (
  check: (values: Readonly<Record<string, string>>, field: string) => void,
  schema: JsonSchema,
): OptionValue<Readonly<Record<string, string>>, Readonly<Record<string, string>>> => ({
  read: mapOf(text),
  parse(values, field) {
    check(values, field);
    return values;
  },
  schema: { type: 'object', ...schema },
});

const quantityOf =
  (
    parse: (value: string | number, field: string, bounds: Bounds) => number,
    show: Quantity['show'],
    form: RegExp,
    type: 'integer' | 'number',
  ) =>
  (bounds: Bounds): Quantity => {
    const number = { type, minimum: bounds.min, maximum: bounds.max };
    return {
      read: numberOr(readText),
      parse: (value, field) => parse(value, field, bounds),
      show,
      schema: { anyOf: [{ type: 'string', pattern: form.source }, number] },
    };
  };

const bytesWithin = quantityOf(parseBytes, showBytes, BYTES, 'integer');
export const bytes = ({ min = 0, max = Number.MAX_SAFE_INTEGER }: Partial<Bounds>): Quantity =>
  bytesWithin({ min, max });

/** A duration in milliseconds. */
export const duration = quantityOf(parseDuration, showDuration, DURATION, 'number');

export const count = quantityOf(parseCount, String, DECIMAL, 'integer');

const CPU_BOUNDS = { min: BOUNDS.cpusMin, max: BOUNDS.cpusMax };
export const CPUS = quantityOf(parseCpus, String, DECIMAL, 'number')(CPU_BOUNDS);
