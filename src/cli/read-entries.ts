/** Reads a task's environment and labels from the options of a command. Loaded only for lines with such options. */
import { reasonOf, StackshimError } from '../core/errors.ts';
import {
  type CallerEnv,
  parseEnvEntries,
  parseEnvFile,
  parseLabelEntries,
} from '../spec/parse-entries.ts';
import { readBoundedFile } from '../sys/files.ts';

/** scripts/steps/hide-variables.mjs makes the first letter of these names lower case, so that Bun ignores them. */
const HIDDEN = /^(?:bUN_|nODE|jSC_)/;

/** More than the kernel accepts as an environment. */
const MAX_ENV_FILE_BYTES = 8 * 1024 * 1024;

type Entries = readonly string[] | undefined;

/** Reads the entries and the env files. Later files override earlier ones, and `--env` overrides all files, as in docker. */
export function readEntries({
  env: entries = [],
  envFile: files = [],
  label,
}: Partial<Record<'env' | 'envFile' | 'label', Entries>>) {
  const env: Record<string, string> = {};
  const callerEnv = callerEnvironment();
  for (const file of files) Object.assign(env, parseEnvFile(readEnvFile(file), callerEnv));
  Object.assign(env, parseEnvEntries(entries, callerEnv));
  return { env, labels: label && parseLabelEntries(label) };
}

/** Parses `K=V` entries; `K` alone takes the caller's value. */
export const readVariables = (entries: readonly string[]): Record<string, string> =>
  parseEnvEntries(entries, callerEnvironment());

/** Returns this process's environment under the caller's names: `--env NAME` takes the caller's value, and a task may need `NODE_ENV`. */
const callerEnvironment = (): CallerEnv =>
  Object.fromEntries(
    Object.entries(process.env).map(([name, value]) => [
      HIDDEN.test(name) ? name.charAt(0).toUpperCase() + name.slice(1) : name,
      value,
    ]),
  );

function readEnvFile(path: string): string {
  try {
    // The caller names the file, perhaps as `<(…)`: a FIFO waits for its writer, as with any program.
    const options = { maxBytes: MAX_ENV_FILE_BYTES, followLink: true, allowPipes: true };
    return readBoundedFile(path, options);
  } catch (error) {
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: ${reasonOf(error)}`, {
      cause: error,
      details: { field: 'envFile', path },
    });
  }
}
