/** Options that several commands share. */
import { type Command, Option } from 'commander';
import { StackshimError } from '../../core/errors.ts';
import type { RegistryOptions } from '../../exchange/registry/run-skopeo.ts';

export const JSON_FLAG = ['--json', 'print JSON'] as const;

/** For commands whose tables may have shortened columns. */
export const NO_TRUNC_FLAG = ['--no-trunc', 'print everything in full'] as const;

export const TLS_FLAG = [
  '--tls-verify <bool>',
  'check certificates and refuse plain HTTP',
  'true',
] as const;
export const AUTH_FLAG = [
  '--authfile <file>',
  'credentials file written by `docker login`',
] as const;

/** The value that commander passes on. */
export interface JsonOption {
  readonly json?: boolean;
}

/** For commands about the packages of one tenant. */
export interface TenantOption extends JsonOption {
  readonly tenant?: string;
}

export interface TruncOption {
  /** False with `--no-trunc`. */
  readonly trunc: boolean;
}

/** For commands that docker has, too: `--format json` means `--json`. */
export interface FormatOption extends JsonOption {
  readonly format?: 'table' | 'json';
}

export const wantsJson = ({ json, format }: FormatOption): boolean =>
  json === true || format === 'json';

/** Collects the values of a repeated option, in the order of the command line. */
const collectValues = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

/** Flags, description and default, or an option with choices or conflicts. `…` at the end of a value's name: the option may be repeated. */
type OptionRow = readonly [flags: string, description: string, usual?: string] | Option;

function toOption([flags, description, usual]: Exclude<OptionRow, Option>): Option {
  const option = new Option(flags.replace('…', ''), description).default(usual);
  return flags.includes('…') ? option.argParser(collectValues) : option;
}

interface CommandParts<A extends readonly unknown[]> {
  /** What the command does: a phrase for its help. */
  readonly about: string;
  readonly args?: readonly (readonly [name: string, description: string])[];
  readonly options?: readonly OptionRow[];
  /** Loads the command's code, when the command is called. If the loaded function resolves to a number, that is the exit status. */
  readonly load: () => Promise<(...args: A) => Promise<unknown>>;
  /** True: end without waiting for open calls. For commands that ask processes of a task, whose answer may never come. */
  readonly endsAtOnce?: boolean;
}

/** Adds a command below `parent`, and returns it. */
export function defineCommand<A extends readonly unknown[]>(
  parent: Command,
  name: string,
  { about, args = [], options = [], load, endsAtOnce = false }: CommandParts<A>,
): Command {
  const command = parent.command(name).description(about);
  for (const arg of args) command.argument(...arg);
  for (const row of options) command.addOption(row instanceof Option ? row : toOption(row));
  return command.action(async (...given: A) => {
    const act = await load();
    const status = await act(...given);
    if (typeof status === 'number') process.exitCode = status;
    if (endsAtOnce) process.exit();
  });
}

/** Returns a whole number from 1; undefined for undefined. Throws ERR_STACKSHIM_SPEC_INVALID that names the field. */
export function toPositive(field: string, text: string): number;

export function toPositive(field: string, text: string | undefined): number | undefined;

export function toPositive(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1) return number;
  const message = `${field} ${JSON.stringify(text)}: not a whole number from 1`;
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { details: { field } });
}

/** Makes the error for an option whose value cannot be read. */
export function invalidOption(
  flag: `--${string}`,
  value: string,
  problem: string,
  hint?: string,
): StackshimError {
  const field = flag.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const message = `read ${flag} ${JSON.stringify(value.slice(0, 200))}: ${problem}`;
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { hint, details: { field } });
}

/** Returns the number of lines of `--tail`; undefined for `all`. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseTail(text: string): number | undefined {
  if (text === 'all') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw invalidOption('--tail', text, 'neither all nor a whole number of lines');
}

export interface ExchangeCommandOptions extends JsonOption {
  readonly smoke?: string;
}

export interface RegistryCommandOptions extends ExchangeCommandOptions {
  readonly tlsVerify: string;
  readonly authfile?: string | undefined;
}

export function toRegistryOptions({
  tlsVerify,
  authfile,
}: RegistryCommandOptions): RegistryOptions {
  if (tlsVerify !== 'true' && tlsVerify !== 'false') {
    throw invalidOption('--tls-verify', tlsVerify, 'neither true nor false');
  }
  return { tlsVerify: tlsVerify === 'true', authFile: authfile };
}
