/**
 * Plain functions that read outside values, for data that every task reads: its own fields, the policy, the store's small files. Schemas would
 * take the executable 5 ms, a quarter of a task's time apart from its container.
 */

/** The most of a hostile key to show. */
const MAX_FIELD_CHARS = 200;

const shorten = (field: string) =>
  field.length > MAX_FIELD_CHARS ? `${field.slice(0, MAX_FIELD_CHARS)}…` : field;

/** Returns the checked value (a copy, if it has parts), or throws a {@link FieldFault}. */
export type Reader<T> = (value: unknown, field: string) => T;

/** Why a value is invalid. The reader's caller turns it into its own error: see {@link readWith}. */
export class FieldFault extends Error {
  override readonly name = 'FieldFault';
  /** `mounts[0].target`; empty for the whole value. */
  readonly field: string;
  /** Completes the sentence `<field> <value>: …`. */
  readonly problem: string;
  /** The value as text; undefined if not worth showing. */
  readonly value: string | undefined;

  constructor(field: string, problem: string, value?: string) {
    const shown = shorten(field);
    super(shown === '' ? problem : `${shown}: ${problem}`);
    this.field = shown;
    this.problem = problem;
    this.value = value;
  }
}

/**
 * Returns the reader's result, or throws the error from `refuse`. Whatever else the value makes a reader throw (it may have getters) is a fault,
 * too.
 */
export function readWith<T>(
  reader: Reader<T>,
  value: unknown,
  refuse: (fault: FieldFault) => Error,
): T {
  try {
    return reader(value, '');
  } catch (error) {
    throw refuse(error instanceof FieldFault ? error : new FieldFault('', 'not valid'));
  }
}

const readerOf =
  <T>(is: (value: unknown) => value is T, problem: string): Reader<T> =>
  (value, field) => {
    if (is(value)) return value;
    throw new FieldFault(field, problem);
  };

export const flag = readerOf((value) => typeof value === 'boolean', 'not a boolean');

export const text = readerOf((value) => typeof value === 'string', 'not a string');

export const textUpTo =
  (chars: number): Reader<string> =>
  (value, field) => {
    const read = text(value, field);
    if (read.length <= chars) return read;
    throw new FieldFault(field, `more than ${chars} characters`);
  };

/** @param problem For example `not a stack name`. */
export const textThat = <T extends string = string>(
  is: (value: string) => boolean,
  problem: string,
): Reader<T> => readerOf((value): value is T => typeof value === 'string' && is(value), problem);

const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;

/** An ISO 8601 date and time in UTC. */
export const date = textThat(
  (value) => ISO_DATE.test(value) && !Number.isNaN(Date.parse(value)),
  'not a date and time of ISO 8601, UTC',
);

/** A whole number within inclusive bounds. */
export const integer =
  (least: number, most = Number.MAX_SAFE_INTEGER): Reader<number> =>
  (value, field) => {
    const read = typeof value === 'number' && Number.isSafeInteger(value) ? value : Number.NaN;
    if (read >= least && read <= most) return read;
    const bounds = most === Number.MAX_SAFE_INTEGER ? `${least} on` : `${least} to ${most}`;
    throw new FieldFault(field, `not a whole number from ${bounds}`);
  };

export const positive = readerOf(
  (value): value is number => typeof value === 'number' && Number.isFinite(value) && value > 0,
  'not a positive number',
);

/** A number, or text for `ofText` to read. */
export const numberOr =
  <T extends string>(ofText: Reader<T>): Reader<T | number> =>
  (value, field) => {
    if (typeof value === 'string') return ofText(value, field);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw new FieldFault(field, 'not a string and not a number');
  };

export const oneOf =
  <const T extends string | number>(...wanted: readonly T[]): Reader<T> =>
  (value, field) => {
    const found = wanted.find((one) => one === value);
    if (found !== undefined) return found;
    throw new FieldFault(field, `not ${wanted.map((one) => JSON.stringify(one)).join(' or ')}`);
  };

export const orNull =
  <T>(reader: Reader<T>): Reader<T | null> =>
  (value, field) =>
    value === null ? null : reader(value, field);

/** Unbounded by default: for a value whose total size is already bounded. */
export const listOf =
  <T>(item: Reader<T>, most = Number.POSITIVE_INFINITY, least = 0): Reader<readonly T[]> =>
  (value, field) => {
    if (!Array.isArray(value)) throw new FieldFault(field, 'not an array');
    if (value.length < least) throw new FieldFault(field, `fewer than ${least} elements`);
    if (value.length > most) throw new FieldFault(field, `more than ${most} elements`);
    return Array.from(value, (one: unknown, index) => item(one, `${field}[${index}]`));
  };

/** @param key Reads each name; an invalid name is a fault of the map. */
export const mapOf =
  <T, K extends string = string>(
    item: Reader<T>,
    key?: Reader<K>,
  ): Reader<Readonly<Record<K, T>>> =>
  (value, field) => {
    if (!isPlain(value)) throw new FieldFault(field, 'not an object');
    // Copying this key would set the copy's prototype.
    if (Object.hasOwn(value, '__proto__')) {
      throw new FieldFault(field, 'this key is not allowed', '__proto__');
    }
    const entries = Object.entries(value).map(([name, one]) => {
      key?.(name, field);
      return [name, item(one, fieldOf(field, name))];
    });
    return Object.fromEntries(entries);
  };

/** One reader per field; wrap readers of fields that may be missing in {@link optional}. */
export type FieldReaders<T> = {
  readonly [F in keyof T]-?: undefined extends T[F]
    ? Reader<Exclude<T[F], undefined> | undefined>
    : Reader<T[F]>;
};

/** A field that may be missing. */
export const optional =
  <T>(reader: Reader<T>): Reader<T | undefined> =>
  (value, field) =>
    value === undefined ? undefined : reader(value, field);

type Present<T> = { readonly [F in keyof T]-?: Reader<Exclude<T[F], undefined>> };
type AllOptional<T> = { readonly [F in keyof T]-?: Reader<Exclude<T[F], undefined> | undefined> };

/** Fields that may all be missing. */
export function allOptional<T extends object>(readers: Present<T>): AllOptional<T> {
  const entries = Object.entries<Reader<unknown>>(readers);
  return Object.fromEntries(
    entries.map(([name, reader]) => [name, optional(reader)]),
  ) as AllOptional<T>;
}

/** An object with exactly these fields. Leaves out undefined ones. */
export const objectOf =
  <T extends object>(readers: FieldReaders<T>): Reader<T> =>
  (value, field) => {
    if (!isObject(value)) throw new FieldFault(field, 'not an object');
    const read: Record<string, unknown> = {};
    for (const [name, reader] of Object.entries<Reader<unknown>>(readers)) {
      const found = reader(Reflect.get(value, name), fieldOf(field, name));
      if (found !== undefined) read[name] = found;
    }
    // Check inherited names, too: inherited fields were read as well.
    for (const name in value) {
      if (Object.hasOwn(readers, name)) continue;
      throw new FieldFault(fieldOf(field, name), 'no such field');
    }
    return read as T;
  };

export const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const fieldOf = (whole: string, name: string) => (whole === '' ? name : `${whole}.${name}`);

/** False for a class instance, such as a Map, which shows none of its keys. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Parses JSON that another program may have half-written; undefined if it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

type Defined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** A copy of `record` without its undefined properties. */
export function withoutUndefined<T extends object>(record: T): Defined<T> {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Defined<T>;
}
