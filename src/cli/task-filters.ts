/** Reads `--filter KEY=VALUE` of commands that list tasks or events, with the meaning that docker's filters have. Pure. */
import { invalidOption } from './define/shared-options.ts';

/** What a filter looks at; a key that is undefined matches no filter. */
export interface Filterable {
  readonly id?: string | undefined;
  readonly stack?: string | undefined;
  readonly status?: string | undefined;
  readonly tenant?: string | undefined;
  readonly event?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export type FilterKey = Exclude<keyof Filterable, 'labels'> | 'label';

/**
 * Whether something passes all filters. Of several filters with the same key one must match; of several labels, all. A label without a
 * value matches whatever its value is. Throws ERR_STACKSHIM_SPEC_INVALID for text that is not a filter, or a key that is not one of `keys`.
 */
export function parseFilters(
  texts: readonly string[],
  keys: readonly FilterKey[],
): (found: Filterable) => boolean {
  const wanted = new Map<FilterKey, string[]>();
  for (const text of texts) {
    const [key, value] = parseFilter(text, keys);
    wanted.set(key, [...(wanted.get(key) ?? []), value]);
  }
  return (found) => [...wanted].every(([key, values]) => matches(found, key, values));
}

function parseFilter(text: string, keys: readonly FilterKey[]): readonly [FilterKey, string] {
  const equals = text.indexOf('=');
  const key = keys.find((known) => known === text.slice(0, Math.max(0, equals)));
  const value = text.slice(equals + 1);
  if (key !== undefined && value !== '') return [key, value];
  throw invalidOption('--filter', text, {
    problem: 'not KEY=VALUE with a key that this command has',
    hint: `the keys are ${keys.join(', ')}`,
  });
}

function matches(found: Filterable, key: FilterKey, values: readonly string[]): boolean {
  if (key === 'label') return values.every((label) => hasLabel(found.labels ?? {}, label));
  return values.some((value) => found[key] === value);
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf('=');
  const name = equals < 0 ? wanted : wanted.slice(0, equals);
  if (!Object.hasOwn(labels, name)) return false;
  return equals < 0 || labels[name] === wanted.slice(equals + 1);
}
