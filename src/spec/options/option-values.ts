/** Readers, parsers and JSON schemas of values that several options have. */
import { flag, listOf, mapOf, numberOr, text, textUpTo } from '../../core/read-fields.ts';
import { invalidField } from '../field-errors.ts';
import { parsePath } from '../parse-path.ts';
import {
  BYTES,
  type ByteBounds,
  type CountBounds,
  DECIMAL,
  DURATION,
  type DurationBounds,
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

/** Text of options: a quantity, a name, a path. */
export const readText = textUpTo(BOUNDS.optionChars);
export const NO_NUL = '^[^\\u0000]*$';

export const FLAG: OptionValue<boolean, boolean> = {
  read: flag,
  parse: (value) => value,
  schema: { type: 'boolean' },
};

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

/** A list of texts, each of which `parse` reads. */
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

/** A file or directory of the host. */
export const hostPath = <V>(toValue: (path: string) => V): OptionValue<string, V> =>
  textOf((value, field) => toValue(parsePath(value, field)));

interface Unit {
  readonly parse: Parse<string | number, number>;
  readonly show: (value: number) => string;
  readonly text: RegExp;
  readonly number: JsonSchema;
}

const quantity = ({ parse, show, text: pattern, number }: Unit): Quantity => ({
  read: numberOr(readText),
  parse,
  show,
  schema: { anyOf: [{ type: 'string', pattern: pattern.source }, number] },
});

export const bytes = ({ min = 0, max = Number.MAX_SAFE_INTEGER }: ByteBounds = {}): Quantity =>
  quantity({
    parse: (value, field) => parseBytes(value, field, { min, max }),
    show: showBytes,
    text: BYTES,
    number: { type: 'integer', minimum: min, maximum: max },
  });

/** Milliseconds. */
export const duration = ({ min, max }: DurationBounds): Quantity =>
  quantity({
    parse: (value, field) => parseDuration(value, field, { min, max }),
    show: showDuration,
    text: DURATION,
    number: { type: 'number', minimum: min, maximum: max },
  });

export const count = ({ min, max }: CountBounds): Quantity =>
  quantity({
    parse: (value, field) => parseCount(value, field, { min, max }),
    show: String,
    text: DECIMAL,
    number: { type: 'integer', minimum: min, maximum: max },
  });

export const CPUS = quantity({
  parse: parseCpus,
  show: String,
  text: DECIMAL,
  number: { type: 'number', minimum: BOUNDS.cpusMin, maximum: BOUNDS.cpusMax },
});
