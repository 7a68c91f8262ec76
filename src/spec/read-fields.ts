/**
 * Readers of fields that come from outside, by plain functions: to build and use schemas of them takes the executable 2 ms, a tenth of
 * all that a task may take besides its container. Each copies what it has looked at.
 */
import { invalidField } from './invalid-field.ts';

/** What a value is, or an ERR_STACKSHIM_SPEC_INVALID that says of which field it is not. */
export type Reader<T> = (value: unknown, field: string) => T;

const MAX_FIELD_CHARS = 200;

/** A hostile key is shown as far as it can be read. */
export const invalid = (field: string, problem: string, value?: string) =>
  invalidField(
    field.length > MAX_FIELD_CHARS ? `${field.slice(0, MAX_FIELD_CHARS)}…` : field,
    problem,
    value,
  );

export const flag: Reader<boolean> = (value, field) => {
  if (typeof value === 'boolean') return value;
  throw invalid(field, 'not a boolean');
};

export const text: Reader<string> = (value, field) => {
  if (typeof value === 'string') return value;
  throw invalid(field, 'not a string');
};

export const textUpTo =
  (chars: number): Reader<string> =>
  (value, field) => {
    const read = text(value, field);
    if (read.length <= chars) return read;
    throw invalid(field, `more than ${chars} characters`);
  };

/** A number, or what `ofText` reads. */
export const numberOr =
  (ofText: Reader<string>): Reader<string | number> =>
  (value, field) => {
    if (typeof value === 'string') return ofText(value, field);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw invalid(field, 'not a string and not a number');
  };

export const oneOf =
  <const T extends string>(...wanted: readonly T[]): Reader<T> =>
  (value, field) => {
    const found = wanted.find((one) => one === value);
    if (found !== undefined) return found;
    throw invalid(field, `not ${wanted.map((one) => JSON.stringify(one)).join(' or ')}`);
  };

export const listOf =
  <T>(item: Reader<T>, most: number): Reader<readonly T[]> =>
  (value, field) => {
    if (!Array.isArray(value)) throw invalid(field, 'not an array');
    if (value.length > most) throw invalid(field, `more than ${most} elements`);
    return Array.from(value, (one: unknown, index) => item(one, `${field}[${index}]`));
  };

export const mapOf =
  <T>(item: Reader<T>): Reader<Readonly<Record<string, T>>> =>
  (value, field) => {
    if (!isPlain(value)) throw invalid(field, 'not an object');
    // It would set the prototype of whatever it is copied to.
    if (Object.hasOwn(value, '__proto__')) {
      throw invalid(field, 'a key that cannot be used', '__proto__');
    }
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, one]) => [key, item(one, `${field}.${key}`)]));
  };

/** An object whose fields may all be missing. */
export const objectOf =
  <T extends object>(readers: FieldReaders<T>): Reader<T> =>
  (value, field) => {
    if (!isObject(value)) throw invalid(field, 'not an object');
    return readFields(value, readers, { of: field });
  };

export type FieldReaders<T> = { readonly [F in keyof T]-?: Reader<NonNullable<T[F]>> };

export interface FieldsOptions<T> {
  /** Of which object they are; undefined: of the whole, whose name need not be told. */
  readonly of?: string | undefined;
  /** Default: none. */
  readonly required?: readonly (keyof T)[];
}

/** Fields that are undefined are left out; one that has no reader must not be there. */
export function readFields<T extends object>(
  value: object,
  readers: FieldReaders<T>,
  { of, required = [] }: FieldsOptions<T>,
): T {
  const pathOf = (name: string) => (of === undefined ? name : `${of}.${name}`);
  const read: Record<string, unknown> = {};
  for (const name of Object.keys(readers) as (keyof T & string)[]) {
    const given: unknown = Reflect.get(value, name);
    if (given === undefined && !required.includes(name)) continue;
    read[name] = readers[name](given, pathOf(name));
  }
  // Inherited ones as well: they have been read, too.
  for (const name in value) {
    if (!Object.hasOwn(readers, name)) throw invalid(pathOf(name), 'there is no such field');
  }
  return read as T;
}

export const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Not an instance of a class, such as a Map, which shows none of its keys. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
