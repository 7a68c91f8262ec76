/** The task input that the options of `run` make. */
import { resolve } from 'node:path';
import { reasonOf, StackshimError } from '../core/errors.ts';
import { parseEnvEntries, parseEnvFile, parseLabelEntries } from '../spec/parse-entries.ts';
import type { TaskInput } from '../spec/task-input.ts';
import { toAbsolute } from '../sys/paths.ts';
import { readBoundedFile } from '../sys/read-bounded-file.ts';
import { callerEnvironment } from './caller-environment.ts';
import { fieldOf, type RunOptions } from './run-options.ts';

/** Reads the env files; everything else is passed on as given, for the one parser to judge. */
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

/** What `--mount` and `--volume` say, relative sources resolved. */
export const toMounts = ({ mount, volume }: RunOptions) => ({
  mounts: mount?.map(fromHere),
  volumes: volume?.map((entry) => resolveHere(entry)),
});

/** A relative source begins with a dot, as docker has it: without one it would be the name of a volume. */
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

/** Later files win over earlier ones, `--env` over all of them, as docker has it. */
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

/** More than the kernel takes as an environment. */
const MAX_ENV_FILE_BYTES = 8 * 1024 * 1024;

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
