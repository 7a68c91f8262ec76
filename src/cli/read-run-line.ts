/**
 * The way past commander, for the lines that tasks are started with: to load it and have it read one takes 2 ms of the 20 that a
 * task may take on top of its runtime. Both read by the same table, and to the same result.
 */
import { keyOf, RUN_OPTIONS, type RunOptions } from './run-options.ts';

export interface RunLine {
  readonly stack: string;
  /** All that stands behind the stack. */
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
 * Reads what stands behind `run`. Undefined for whatever is not plain: a call for help, a mistake, a short option together with its
 * value or with others, `--` in front of the stack. commander reads those, or says what is wrong.
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

/** What is looked for here costs less than to take all the options apart first, of which a line has few. */
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
