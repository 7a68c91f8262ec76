/** Builds the task input from the options of `run`. */
import { resolve } from 'node:path';
import { reasonOf, StackshimError } from '../core/errors.ts';
import { parseEnvEntries, parseEnvFile } from '../spec/parse-env.ts';
import { parseLabelEntries } from '../spec/parse-labels.ts';
import type { TaskInput } from '../spec/task-input.ts';
import { readBoundedFile } from '../sys/read-bounded-file.ts';
import { toAbsolute } from '../sys/to-absolute.ts';
import { callerEnvironment } from './caller-environment.ts';
import { fieldOf, type RunOptions } from './run-options.ts';

/** Reads the env files; passes everything else on unchanged, for the one parser to check. */
export function toTaskInput(
  stack: string,
  command: readonly string[],
  options: RunOptions,
): TaskInput {
  const { env, envFile, label } = options;
  const given: Record<string, unknown> = { stack, command };
  for (const [key, value] of Object.entries(options)) {
    const field = fieldOf(key);
    if (field !== undefined) given[field] = value;
  }
  return {
    ...(given as unknown as TaskInput),
    ...toMounts(options),
    env: toEnv(env, envFile),
    labels: label === undefined ? undefined : parseLabelEntries(label),
  };
}

/** The values of `--mount` and `--volume`, with relative sources resolved. */
export const toMounts = ({ mount, volume }: RunOptions) => ({
  mounts: mount?.map(fromHere),
  volumes: volume?.map((entry) => resolveHere(entry)),
});

/** A relative source begins with a dot, as in docker: without the dot it would name a volume. */
const RELATIVE = /^\.{1,2}(?=[/:]|$)[^:]*/;

const resolveHere = (source: string) =>
  source.replace(RELATIVE, (path) => resolve(toAbsolute(path)));

const fromHere = (mount: string) =>
  mount
    .split(',')
    .map((part) =>
      part.replace(/^(source|src)=(.*)$/s, (_, key, path) => `${key}=${resolveHere(path)}`),
    )
    .join(',');

/** Later files override earlier ones, and `--env` overrides all files, as in docker. */
function toEnv(
  entries: readonly string[] = [],
  files: readonly string[] = [],
): Record<string, string> {
  const env: Record<string, string> = {};
  if (entries.length === 0 && files.length === 0) return env;
  const callerEnv = callerEnvironment();
  for (const file of files) Object.assign(env, parseEnvFile(readEnvFile(file), callerEnv));
  return Object.assign(env, parseEnvEntries(entries, callerEnv));
}

/** More than the kernel accepts as an environment. */
const MAX_ENV_FILE_BYTES = 8 * 1024 * 1024;

function readEnvFile(path: string): string {
  try {
    // The caller names it, perhaps as `<(…)`: a FIFO waits for its writer, as with any program.
    const options = { maxBytes: MAX_ENV_FILE_BYTES, followLink: true, allowPipes: true };
    return readBoundedFile(path, options);
  } catch (error) {
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: ${reasonOf(error)}`, {
      cause: error,
      details: { field: 'envFile', path },
    });
  }
}
