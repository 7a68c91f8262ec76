/** The environment and the labels that the options of `run` give a task. Loaded for lines that have such options. */
import { reasonOf, StackshimError } from '../core/errors.ts';
import {
  type CallerEnv,
  parseEnvEntries,
  parseEnvFile,
  parseLabelEntries,
} from '../spec/parse-entries.ts';
import { readBoundedFile } from '../sys/files.ts';
import type { RunOptions } from './run-options.ts';

/** scripts/steps/hide-variables.mjs makes the first letter of these a small one, so that Bun does not obey the variables. */
const HIDDEN = /^(?:bUN_|nODE|jSC_)/;

/** More than the kernel takes as an environment. */
const MAX_ENV_FILE_BYTES = 8 * 1024 * 1024;

/** Reads the env files. */
export const readEntries = ({ env, envFile, label }: RunOptions) => ({
  env: readEnvironment(env, envFile),
  labels: label === undefined ? undefined : parseLabelEntries(label),
});

/** Later files win over earlier ones, `--env` over all of them, as docker has it. */
function readEnvironment(
  entries: readonly string[] = [],
  files: readonly string[] = [],
): Record<string, string> {
  const env: Record<string, string> = {};
  if (entries.length === 0 && files.length === 0) return env;
  const callerEnv = callerEnvironment();
  for (const file of files) Object.assign(env, parseEnvFile(readEnvFile(file), callerEnv));
  return Object.assign(env, parseEnvEntries(entries, callerEnv));
}

/**
 * The environment that this process was called with, under the names that the caller gave. For `--env NAME`, which takes the caller's value:
 * a task may well need `NODE_ENV`.
 */
const callerEnvironment = (): CallerEnv =>
  Object.fromEntries(
    Object.entries(process.env).map(([name, value]) => [
      HIDDEN.test(name) ? name.charAt(0).toUpperCase() + name.slice(1) : name,
      value,
    ]),
  );

function readEnvFile(path: string): string {
  try {
    // The caller names it, as `<(…)` does: a FIFO waits for its writer, as with any program.
    const options = { maxBytes: MAX_ENV_FILE_BYTES, followLink: true, allowPipes: true };
    return readBoundedFile(path, options);
  } catch (error) {
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: ${reasonOf(error)}`, {
      cause: error,
      details: { field: 'envFile', path },
    });
  }
}
