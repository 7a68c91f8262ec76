/**
 * Checks of values by plain functions, for files that every task reads: the schemas of three small files cost the executable 2 ms, a
 * tenth of all that it may take besides the container.
 */

/** What is wrong with a value, as `field: problem`; undefined: nothing. */
export type Check = (value: unknown, field: string) => string | undefined;

const unless = (isFine: boolean, field: string, problem: string) =>
  isFine ? undefined : `${field}: ${problem}`;

export const matching =
  (is: (text: string) => boolean, problem: string): Check =>
  (value, field) =>
    unless(typeof value === 'string' && is(value), field, problem);

export const textUpTo = (chars: number): Check =>
  matching((text) => text.length <= chars, `not a text of at most ${chars} characters`);

export const exactly = (wanted: number | string): Check => oneOf(wanted);

export const oneOf =
  (...wanted: readonly (number | string | boolean)[]): Check =>
  (value, field) =>
    unless(
      wanted.some((one) => one === value),
      field,
      `not ${wanted.join(' or ')}`,
    );

export const integerFrom =
  (least: number): Check =>
  (value, field) =>
    unless(
      Number.isSafeInteger(value) && Number(value) >= least,
      field,
      `not a whole number from ${least} on`,
    );

export const integerUpTo =
  (most: number): Check =>
  (value, field) =>
    unless(
      Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most,
      field,
      `not a number from 1 to ${most}`,
    );

export const listOf =
  (item: Check, { least = 0, most }: { readonly least?: number; readonly most: number }): Check =>
  (value, field) => {
    if (!Array.isArray(value) || value.length < least || value.length > most) {
      return `${field}: not a list of ${least} to ${most}`;
    }
    return firstFault(value, (one, index) => item(one, `${field}.${index}`));
  };

/** `key` sees each name as a value of its own. */
export const mapOf =
  (key: Check, item: Check): Check =>
  (value, field) =>
    isObject(value)
      ? firstFault(
          Object.entries(value),
          ([name, one]) => key(name, field) ?? item(one, `${field}.${name}`),
        )
      : `${field}: not an object`;

/** No other field may be there; a field whose name ends in `?` may be missing. */
export function objectOf(fields: Readonly<Record<string, Check>>): Check {
  const checks = Object.entries(fields).map(([key, check]) => {
    const optional = key.endsWith('?');
    return { name: optional ? key.slice(0, -1) : key, optional, check };
  });
  const names = new Set(checks.map(({ name }) => name));
  return (value, field) => {
    if (!isObject(value)) return `${field}: not an object`;
    const unknown = Object.keys(value).find((name) => !names.has(name));
    if (unknown !== undefined) return `${nameBelow(field, unknown)}: not a field of this file`;
    return firstFault(checks, ({ name, optional, check }) =>
      optional && value[name] === undefined
        ? undefined
        : check(value[name], nameBelow(field, name)),
    );
  };
}

/** The name of the whole, in messages. */
export const WHOLE = 'file';

const nameBelow = (field: string, name: string) => (field === WHOLE ? name : `${field}.${name}`);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function firstFault<T>(
  items: readonly T[],
  check: (item: T, index: number) => string | undefined,
): string | undefined {
  for (const [index, item] of items.entries()) {
    const fault = check(item, index);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
