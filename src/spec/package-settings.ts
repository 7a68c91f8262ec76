/** The settings of a code package, which are its tasks' defaults. They come from options, from `stackshim.json` or from an image's label. */
import {
  allOptional,
  type FieldReaders,
  integer,
  listOf,
  mapOf,
  objectOf,
  oneOf,
  optional,
  text,
  withoutUndefined,
} from '../core/read-fields.ts';
import { invalidField, readInput } from './field-errors.ts';
import { LIMITS } from './limits.ts';
import type { LIMIT_OPTIONS } from './options/limit-options.ts';
import type { OptionValue } from './options/option-row.ts';
import { readLineOrWords, readWords } from './options/option-values.ts';
import { checkEnv, parseBuildCommand, parseCommand, parseStackReference } from './parse-command.ts';
import { parsePath } from './parse-path.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

type Rows = typeof LIMIT_OPTIONS;
type GivenLimit<F extends keyof Rows> = Rows[F]['value'] extends OptionValue<infer T> ? T : never;

/** Limits in the form that people write: `{ memory: '256m' }`. */
export type LimitInput = { readonly [F in keyof Rows]?: GivenLimit<F> | undefined };

/** A missing field is left to the task, then to the policy. */
export interface PackageSettings {
  /** `name`, `name@rev:N` or `name@sha256:…`. */
  readonly stack?: string | undefined;
  readonly command?: readonly string[] | undefined;
  /** How the command gets the paths of its inputs, as the option of a task. */
  readonly args?: 'none' | 'names' | 'iron' | undefined;
  /** Variables of its tasks. A task's own variables override those with the same names. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Text that its tasks read from the file CONFIG_FILE. */
  readonly config?: string | undefined;
  /** Files and folders of a task that a queue worker keeps. `run` takes those that `--output` names. */
  readonly outputs?: readonly string[] | undefined;
  /** The command that prepared `/task` when the package was added: a line for `/bin/sh -c`, or a program and its arguments. */
  readonly build?: string | readonly string[] | undefined;
  /** The only files and folders that the build saw, relative to the code. Absent: it saw all of the code. */
  readonly buildFiles?: readonly string[] | undefined;
  readonly limits?: LimitInput | undefined;
  /** How often a queue worker runs a failed job again. */
  readonly retries?: number | undefined;
  /** How many tasks of the package run at once, on all queue workers together. */
  readonly maxConcurrency?: number | undefined;
  /** Among the jobs of its queue; 0 comes first. */
  readonly priority?: number | undefined;
}

/** The label of an image that is a code package. */
export const CODE_LABEL = 'io.stackshim.code';
/** The version of the label's value that this program writes, and the newest that it reads. */
const SETTINGS_VERSION = 1;

export const SETTINGS_BOUNDS = {
  /** All settings together, as JSON in a label of an image. */
  chars: 60_000,
  buildFiles: 64,
  maxConcurrency: 100_000,
  priority: 2_097_151,
} as const;

/** The limits by their names in the table of options. */
export const limitReaders = allOptional(
  Object.fromEntries(LIMITS.map(({ field, value }) => [field, value.read])),
) as FieldReaders<LimitInput>;

/** Readers of all fields except the limits. */
export const settingReaders: FieldReaders<Omit<PackageSettings, 'limits'>> = {
  stack: optional(text),
  command: optional(readWords),
  args: optional(oneOf('none', 'names', 'iron')),
  env: optional(mapOf(text)),
  config: optional(text),
  outputs: optional(listOf(text, SPEC_BOUNDS.outputs)),
  build: optional(readLineOrWords),
  buildFiles: optional(listOf(text, SETTINGS_BOUNDS.buildFiles, 1)),
  retries: optional(integer(0, SPEC_BOUNDS.jobRetries)),
  maxConcurrency: optional(integer(1, SETTINGS_BOUNDS.maxConcurrency)),
  priority: optional(integer(0, SETTINGS_BOUNDS.priority)),
};

const allReaders: FieldReaders<PackageSettings> = {
  ...settingReaders,
  limits: optional(objectOf<LimitInput>(limitReaders)),
};
const settings = objectOf<PackageSettings>(allReaders);
const labelled = objectOf<PackageSettings & { readonly version: number }>({
  version: oneOf(SETTINGS_VERSION),
  ...allReaders,
});

/** Checks and normalises settings: equal settings give equal text. Throws ERR_STACKSHIM_SPEC_INVALID, `details.field` is the first invalid field. */
export const parseSettings = (given: unknown): PackageSettings =>
  checkSettings(readInput(settings, given, 'settings'));

/** Returns the value of {@link CODE_LABEL}. Equal settings give equal text. Throws ERR_STACKSHIM_SPEC_INVALID if it is too long. */
export function toSettingsLabel(given: PackageSettings): string {
  const label = JSON.stringify({ version: SETTINGS_VERSION, ...given });
  if (label.length <= SETTINGS_BOUNDS.chars) return label;
  throw invalidField('settings', `more than ${SETTINGS_BOUNDS.chars} characters in all`);
}

/** Reads the settings in an untrusted label. Throws ERR_STACKSHIM_SPEC_INVALID, and SyntaxError for text that is not JSON. */
export function parseSettingsLabel(label: string): PackageSettings {
  if (label.length > SETTINGS_BOUNDS.chars) throw invalidField('settings', 'too long');
  const { version: _, ...read } = readInput(labelled, JSON.parse(label), 'settings');
  return checkSettings(read);
}

function checkSettings(read: PackageSettings): PackageSettings {
  const { stack, command, env, config, outputs, build, buildFiles, limits } = read;
  if (stack !== undefined) parseStackReference(stack, 'stack');
  if (command !== undefined) parseCommand(command, 'command');
  if (env !== undefined) checkEnv(env, 'env');
  if (config?.includes('\0')) throw invalidField('config', 'text with a NUL');
  for (const [i, output] of (outputs ?? []).entries()) checkOutput(output, `outputs[${i}]`);
  if (build !== undefined) parseBuildCommand(build, 'build');
  if (buildFiles !== undefined && build === undefined) {
    throw invalidField('buildFrom', 'given without build');
  }
  for (const { field, value } of LIMITS) {
    const limit = limits?.[field];
    if (limit !== undefined) value.parse(limit, field);
  }
  // List each file once, sorted: `./a/` and `a` are the same.
  const files = new Set(buildFiles?.map((file, i) => toBuildFile(file, `buildFrom[${i}]`)));
  const made: PackageSettings = withoutUndefined({
    ...read,
    env: env && inOrder(env),
    buildFiles: buildFiles && [...files].sort(),
  });
  toSettingsLabel(made);
  return made;
}

function checkOutput(output: string, field: string): void {
  parsePath(output, field);
  if (output.includes(':')) throw invalidField(field, 'a source alone, without ":"', output);
  if (output.split('/').includes('..')) throw invalidField(field, 'a source with ".."', output);
}

function toBuildFile(file: string, field: string): string {
  parsePath(file, field);
  if (file.startsWith('/')) throw invalidField(field, 'not relative to the code', file);
  const parts = file.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw invalidField(field, 'a path with ".."', file);
  if (parts.length === 0) {
    throw invalidField(field, 'the whole code; leave buildFrom out for that', file);
  }
  return parts.join('/');
}

const inOrder = (env: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1)));
