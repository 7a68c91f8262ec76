/** Reads plain command lines without commander, which takes 2 ms to load and to read a line. */

/** The options of a command: [flags, description]. */
export type OptionTable = readonly (readonly [flags: string, description: string])[];

type Camel<S> = S extends `${infer First}-${infer Rest}` ? `${First}${Capitalize<Camel<Rest>>}` : S;
type KeyOf<S> = S extends `${string}--${infer Long} ${string}`
  ? Camel<Long>
  : S extends `${string}--${infer Long}`
    ? Camel<Long>
    : never;
type ValueOf<S> = S extends `${string}…>`
  ? readonly string[]
  : S extends `${string}>`
    ? string
    : boolean;

/** The values on a command line by option name, for options with these flags. Options that were not given are absent. */
export type OptionValues<Flags extends string> = { readonly [S in Flags as KeyOf<S>]?: ValueOf<S> };

export interface PlainLine {
  /** The first word that is not an option. */
  readonly first: string;
  readonly rest: readonly string[];
  readonly options: Readonly<Record<string, true | string | readonly string[]>>;
}

/**
 * Gives the same result as commander, which uses the same table. Returns undefined for any unusual line: a call for help, a mistake, a
 * short option joined with its value or with other options, `--` before the first word. commander reads those lines, or reports the
 * mistake.
 */
export function readPlainLine(args: readonly string[], table: OptionTable): PlainLine | undefined {
  const options: Record<string, true | string | string[]> = {};
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? '';
    if (!arg.startsWith('-') || arg === '-') {
      return { first: arg, rest: args.slice(index + 1), options };
    }
    const isAssigned = arg.startsWith('--') && arg.includes('=');
    const name = isAssigned ? arg.slice(0, arg.indexOf('=')) : arg;
    const flags = findFlags(name, table);
    const takesValue = flags?.endsWith('>');
    if (flags === undefined || (isAssigned && !takesValue)) return undefined;
    const key = keyOf(flags);
    if (!takesValue) {
      options[key] = true;
      continue;
    }
    if (!isAssigned) index += 1;
    const value = isAssigned ? arg.slice(name.length + 1) : args[index];
    if (value === undefined) return undefined;
    const before = options[key];
    if (!flags.endsWith('…>')) options[key] = value;
    else options[key] = Array.isArray(before) ? [...before, value] : [value];
  }
  return undefined;
}

/** Returns the name that commander uses: `cpuShares`. */
export const keyOf = (flags: string): string =>
  (/--([a-z-]+)/.exec(flags)?.[1] ?? '').replace(/-(.)/g, (_, letter: string) =>
    letter.toUpperCase(),
  );

/** A line has few options, so this search is cheaper than parsing the whole table first. */
const findFlags = (name: string, table: OptionTable): string | undefined =>
  table.find(
    ([flags]) =>
      flags.includes(name) &&
      flags.split(/,? /).some((part) => part === name && part.startsWith('-')),
  )?.[0];
