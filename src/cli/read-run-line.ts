/**
 * Reads the usual lines of `run` without commander: loading commander and parsing one line takes 2 ms of the 20 ms that a task may take on
 * top of its runtime. Both use the same table, and have the same result.
 */
import { keyOf, RUN_OPTIONS, type RunOptions } from './run-options.ts';

export interface RunLine {
  readonly stack: string;
  /** Everything after the stack. */
  readonly rest: readonly string[];
  readonly options: RunOptions;
}

interface OptionForm {
  /** `cpuShares` */
  readonly key: string;
  readonly takesValue: boolean;
  readonly isRepeatable: boolean;
}

/**
 * Reads what follows `run`. Undefined for any unusual line: a call for help, a mistake, a short option joined with its value or with others,
 * `--` before the stack. commander reads those lines, or reports what is wrong.
 */
export function readRunLine(args: readonly string[]): RunLine | undefined {
  const options: Record<string, true | string | string[]> = {};
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? '';
    if (!arg.startsWith('-') || arg === '-') {
      return { stack: arg, rest: args.slice(index + 1), options };
    }
    const isAssigned = arg.startsWith('--') && arg.includes('=');
    const name = isAssigned ? arg.slice(0, arg.indexOf('=')) : arg;
    const form = findForm(name);
    if (form === undefined || (isAssigned && !form.takesValue)) return undefined;
    const { key, takesValue, isRepeatable } = form;
    if (!takesValue) {
      options[key] = true;
      continue;
    }
    if (!isAssigned) index += 1;
    const value = isAssigned ? arg.slice(name.length + 1) : args[index];
    if (value === undefined) return undefined;
    const before = options[key];
    if (!isRepeatable) options[key] = value;
    else options[key] = Array.isArray(before) ? [...before, value] : [value];
  }
  return undefined;
}

/** A line has few options, so this search is cheaper than parsing the whole table first. */
function findForm(name: string): OptionForm | undefined {
  for (const [flags] of RUN_OPTIONS) {
    if (!flags.includes(name)) continue;
    const names = flags.split(/,? /).filter((part) => part.startsWith('-'));
    if (names.includes(name)) return toForm(flags);
  }
  return undefined;
}

const toForm = (flags: string): OptionForm => ({
  key: keyOf(flags),
  takesValue: flags.endsWith('>'),
  isRepeatable: flags.endsWith('…>'),
});
