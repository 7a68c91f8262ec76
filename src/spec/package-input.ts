/** Joins the settings of a code package from the caller's input and the code's `stackshim.json`. Pure. */
import { StackshimError } from '../core/errors.ts';
import {
  type FieldReaders,
  objectOf,
  oneOf,
  optional,
  readWith,
  text,
  withoutUndefined,
} from '../core/read-fields.ts';
import { readInput } from './field-errors.ts';
import { LIMITS } from './limits.ts';
import { readText } from './options/option-values.ts';
import {
  type LimitInput,
  limitReaders,
  type PackageSettings,
  parseSettings,
  settingReaders,
} from './package-settings.ts';

/** The fields of a `stackshim.json`: settings and, beside them, limits under their names in a task. */
export interface PackageFile extends Omit<PackageSettings, 'limits' | 'buildFiles'>, LimitInput {
  /** Files and folders, relative to the code. The build step sees only these. */
  readonly buildFrom?: readonly string[] | undefined;
}

/** A caller's input for a new package. Its fields override those of the `stackshim.json` in the code. */
export interface PackageInput extends PackageFile {
  /** The package's tenant. Absent: a package of tasks without a tenant. */
  readonly tenant?: string | undefined;
  /** A file of the host with the text of `config`. */
  readonly configFile?: string | undefined;
  /** Network of the build step: `none` or, if the policy allows it, `host`. Default: `none`. */
  readonly buildNetwork?: 'none' | 'host' | undefined;
}

/** The settings file in the code. */
export const PACKAGE_FILE = 'stackshim.json';
export const PACKAGE_FILE_BYTES = 256 * 1024;

const { buildFiles, ...named } = settingReaders;
const fileReaders: FieldReaders<PackageFile> = { ...named, ...limitReaders, buildFrom: buildFiles };

const file = objectOf<PackageFile>(fileReaders);
const input = objectOf<PackageInput>({
  ...fileReaders,
  tenant: optional(text),
  configFile: optional(readText),
  buildNetwork: optional(oneOf('none', 'host')),
});

/** Checks the input. Throws ERR_STACKSHIM_SPEC_INVALID that names the first invalid field. */
export const parsePackageInput = (given: unknown): PackageInput =>
  readInput(input, given, 'options');

/** Reads the fields of a `stackshim.json` from an untrusted author. Throws ERR_STACKSHIM_PACKAGE_INVALID. */
export function parsePackageFile(bytes: Uint8Array): PackageFile {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw toInvalidFile('not JSON', undefined, error);
  }
  return readWith(file, value, ({ message, field }) => toInvalidFile(message, field));
}

function toInvalidFile(problem: string, field: string | undefined, cause?: unknown) {
  const text = `read ${PACKAGE_FILE} of the code: ${problem}`;
  const details = field === undefined ? {} : { field };
  return new StackshimError('ERR_STACKSHIM_PACKAGE_INVALID', text, { cause, details });
}

/**
 * Joins the settings of a package: the caller's override the file's; variables are joined one by one. A caller's `build` replaces the
 * file's `build` and `buildFrom`. Throws ERR_STACKSHIM_SPEC_INVALID, or ERR_STACKSHIM_PACKAGE_INVALID if the file is at fault.
 */
export function joinSettings(
  given: PackageInput,
  beside: PackageFile | undefined,
): PackageSettings {
  const { tenant, configFile, buildNetwork, ...own } = given;
  const base = beside ?? {};
  if (beside !== undefined) requireSoundFile(base);
  const { build, buildFrom, ...rest } = base;
  const joined: PackageFile = {
    ...(own.build === undefined ? base : rest),
    ...withoutUndefined({ ...own, env: own.env && { ...base.env, ...own.env } }),
  };
  return parseSettings(toSettings(joined));
}

/** Reports a fault of the file as the file's, not as an option's. */
function requireSoundFile(beside: PackageFile): void {
  try {
    parseSettings(toSettings(beside));
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    const { field } = error.details;
    throw toInvalidFile(error.message, typeof field === 'string' ? field : undefined, error);
  }
}

function toSettings(joined: PackageFile): unknown {
  const { buildFrom, ...others } = joined;
  const entries = Object.entries(others).filter(([, value]) => value !== undefined);
  const isLimit = ([name]: readonly [string, unknown]) =>
    LIMITS.some(({ field }) => field === name);
  const limits = Object.fromEntries(entries.filter(isLimit));
  return {
    ...Object.fromEntries(entries.filter((entry) => !isLimit(entry))),
    buildFiles: buildFrom,
    limits: Object.keys(limits).length === 0 ? undefined : limits,
  };
}
