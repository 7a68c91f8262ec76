/** Parses `--filter KEY=VALUE` of commands that list tasks or events. Filters mean the same as docker's. Pure. */
import { invalidOption } from './define/shared-options.ts';

/** The fields that filters compare. A key that is undefined or null matches no filter. */
export interface Filterable {
  readonly id?: string | undefined;
  readonly stack?: string | null | undefined;
  readonly status?: string | undefined;
  readonly tenant?: string | null | undefined;
  readonly event?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export type FilterKey = Exclude<keyof Filterable, 'labels'> | 'label';

/**
 * Returns a function that says whether something passes all filters. Of several filters with the same key, one must match; of several
 * labels, all. A label without a value matches any value. Throws ERR_STACKSHIM_SPEC_INVALID for text that is not a filter, or a key that is
 * not in `keys`.
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
  const [name, value] = text.split(/=(.*)/s);
  const key = keys.find((known) => known === name);
  if (key !== undefined && value) return [key, value];
  const problem = 'not KEY=VALUE with a key that this command has';
  throw invalidOption('--filter', text, problem, `the keys are ${keys.join(', ')}`);
}

function matches(found: Filterable, key: FilterKey, values: readonly string[]): boolean {
  if (key === 'label') return values.every((label) => hasLabel(found.labels ?? {}, label));
  return values.some((value) => found[key] === value);
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const [name = '', value] = wanted.split(/=(.*)/s);
  return Object.hasOwn(labels, name) && (value === undefined || labels[name] === value);
}
