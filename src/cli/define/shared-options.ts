/** Options that several commands share. */
import { type Command, Option } from 'commander';
import { StackshimError } from '../../core/errors.ts';
import type { RegistryOptions } from '../../exchange/registry/run-skopeo.ts';
import type { OptionTable } from './plain-line.ts';

export const JSON_FLAG = ['--json', 'print JSON'] as const;

/** For commands whose tables have columns that may be shortened. */
export const NO_TRUNC_FLAG = ['--no-trunc', 'print everything in full'] as const;
export const JOBS_FLAG = ['--jobs <n>', 'build up to N stacks at a time (default: 2)'] as const;

export const TLS_FLAG = [
  '--tls-verify <bool>',
  'check certificates and refuse plain HTTP',
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

/** For commands that docker has, too: `--format json` is the same as `--json`. */
export const formatOption = (): Option =>
  new Option('--format <format>', 'print a table or JSON')
    .choices(['table', 'json'])
    .conflicts('json');

export interface FormatOption extends JsonOption {
  readonly format?: 'table' | 'json';
}

export const wantsJson = ({ json, format }: FormatOption): boolean =>
  json === true || format === 'json';

/** The action of a command whose code is loaded when the command is called. If it resolves to a number, that is the exit status. */
export const whenCalled =
  <A extends readonly unknown[]>(load: () => Promise<(...args: A) => Promise<unknown>>) =>
  async (...args: A): Promise<void> => {
    const act = await load();
    const status = await act(...args);
    if (typeof status === 'number') process.exitCode = status;
  };

/** For options that may be repeated: collects the values in the order of the command line. */
export const collectValues = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

/** Adds the options of a table, with their descriptions, to a command. */
export function addOptions(command: Command, table: OptionTable): void {
  for (const [flags, description] of table) {
    const option = new Option(flags.replace('…', ''), description);
    if (flags.includes('…')) option.argParser(collectValues);
    command.addOption(option);
  }
}

const MAX_NUMBER = 999_999_999;

/**
 * A number of revisions, or a revision's number: at least 1; undefined for undefined. Throws ERR_STACKSHIM_SPEC_INVALID that names the
 * field.
 */
export function toPositive(field: string, text: string): number;

export function toPositive(field: string, text: string | undefined): number | undefined;

export function toPositive(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_NUMBER) return number;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `${field} ${JSON.stringify(text)}: not a whole number from 1`,
    { details: { field } },
  );
}

/** The error for an option whose value cannot be read. */
export function invalidOption(
  flag: `--${string}`,
  value: string,
  { problem, hint }: { readonly problem: string; readonly hint?: string },
): StackshimError {
  const field = flag.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  return new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `read ${flag} ${JSON.stringify(value.slice(0, 200))}: ${problem}`,
    { hint, details: { field } },
  );
}

/** The number of lines of `--tail`; undefined for `all`. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseTail(text: string): number | undefined {
  if (text === 'all') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw invalidOption('--tail', text, { problem: 'neither all nor a whole number of lines' });
}

export interface ExchangeCommandOptions {
  readonly smoke?: string;
  readonly json?: boolean;
}

export interface RegistryCommandOptions extends ExchangeCommandOptions {
  readonly tlsVerify: string;
  readonly authfile?: string;
}

export function toRegistryOptions({
  tlsVerify,
  authfile,
}: RegistryCommandOptions): RegistryOptions {
  if (tlsVerify !== 'true' && tlsVerify !== 'false') {
    throw invalidOption('--tls-verify', tlsVerify, { problem: 'neither true nor false' });
  }
  return { tlsVerify: tlsVerify === 'true', authFile: authfile };
}
