/**
 * Readers of values that come from outside, by plain functions, for what every task reads: its own fields, the policy, the store's small
 * files. To build and use schemas of them takes the executable 5 ms, a quarter of all that a task may take besides its container.
 */

/** A hostile key is shown as far as it can be read. */
const MAX_FIELD_CHARS = 200;

const shorten = (field: string) =>
  field.length > MAX_FIELD_CHARS ? `${field.slice(0, MAX_FIELD_CHARS)}…` : field;

/** Gives what a value is, a copy of it where it has parts, or throws a {@link FieldFault}. */
export type Reader<T> = (value: unknown, field: string) => T;

/** Why a value is not what it must be. The caller of the reader turns it into an error of its own: see {@link readWith}. */
export class FieldFault extends Error {
  override readonly name = 'FieldFault';
  /** `mounts[0].target`; empty: the whole. */
  readonly field: string;
  /** Completes the sentence `<field> <value>: …`. */
  readonly problem: string;
  /** As text; undefined where it is not worth showing. */
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
 * What the reader makes of a value, or an error that `refuse` makes. Whatever else the value makes a reader throw (it may have getters)
 * is a fault of the value like any other.
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

export const flag: Reader<boolean> = (value, field) => {
  if (typeof value === 'boolean') return value;
  throw new FieldFault(field, 'not a boolean');
};

export const text: Reader<string> = (value, field) => {
  if (typeof value === 'string') return value;
  throw new FieldFault(field, 'not a string');
};

export const textUpTo =
  (chars: number): Reader<string> =>
  (value, field) => {
    const read = text(value, field);
    if (read.length <= chars) return read;
    throw new FieldFault(field, `more than ${chars} characters`);
  };

/** @param problem `not a stack name` */
export const textThat =
  <T extends string = string>(is: (value: string) => boolean, problem: string): Reader<T> =>
  (value, field) => {
    if (typeof value === 'string' && is(value)) return value as T;
    throw new FieldFault(field, problem);
  };

const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;

/** A date and time of ISO 8601, UTC. */
export const date = textThat(
  (value) => ISO_DATE.test(value) && !Number.isNaN(Date.parse(value)),
  'not a date and time of ISO 8601, UTC',
);

/** A whole number, bounds included. */
export const integer =
  (least: number, most = Number.MAX_SAFE_INTEGER): Reader<number> =>
  (value, field) => {
    const read = typeof value === 'number' && Number.isSafeInteger(value) ? value : Number.NaN;
    if (read >= least && read <= most) return read;
    const bounds = most === Number.MAX_SAFE_INTEGER ? `${least} on` : `${least} to ${most}`;
    throw new FieldFault(field, `not a whole number from ${bounds}`);
  };

/** A number, or what `ofText` reads. */
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

/** Without bounds, for a value whose size was bounded as a whole. */
export const listOf =
  <T>(item: Reader<T>, most = Number.POSITIVE_INFINITY, least = 0): Reader<readonly T[]> =>
  (value, field) => {
    if (!Array.isArray(value)) throw new FieldFault(field, 'not an array');
    if (value.length < least) throw new FieldFault(field, `fewer than ${least} elements`);
    if (value.length > most) throw new FieldFault(field, `more than ${most} elements`);
    return Array.from(value, (one: unknown, index) => item(one, `${field}[${index}]`));
  };

/** @param key Reads each name; a fault of it is one of the whole map. */
export const mapOf =
  <T, K extends string = string>(
    item: Reader<T>,
    key?: Reader<K>,
  ): Reader<Readonly<Record<K, T>>> =>
  (value, field) => {
    if (!isPlain(value)) throw new FieldFault(field, 'not an object');
    // It would set the prototype of whatever it is copied to.
    if (Object.hasOwn(value, '__proto__')) {
      throw new FieldFault(field, 'this key is not allowed', '__proto__');
    }
    const entries = Object.entries(value).map(([name, one]) => {
      key?.(name, field);
      return [name, item(one, fieldOf(field, name))];
    });
    return Object.fromEntries(entries);
  };

/** A reader for each field: for one that may be missing, {@link optional}. */
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

/** An object of these fields and no others. What is undefined is left out. */
export const objectOf =
  <T extends object>(readers: FieldReaders<T>): Reader<T> =>
  (value, field) => {
    if (!isObject(value)) throw new FieldFault(field, 'not an object');
    const read: Record<string, unknown> = {};
    for (const [name, reader] of Object.entries<Reader<unknown>>(readers)) {
      const found = reader(Reflect.get(value, name), fieldOf(field, name));
      if (found !== undefined) read[name] = found;
    }
    // Inherited ones as well: they have been read, too.
    for (const name in value) {
      if (Object.hasOwn(readers, name)) continue;
      throw new FieldFault(fieldOf(field, name), 'no such field');
    }
    return read as T;
  };

export const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const fieldOf = (whole: string, name: string) => (whole === '' ? name : `${whole}.${name}`);

/** Not an instance of a class, such as a Map, which shows none of its keys. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
