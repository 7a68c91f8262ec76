/** Builds the task input from the options of `run`. */
import { resolve } from 'node:path';
import type { TaskInput } from '../../spec/task-input.ts';
import { toAbsolute } from '../../sys/paths.ts';
import { fieldOf, type RunOptions } from '../define/run-options.ts';

/** Reads the env files; passes everything else on unchanged, for the one parser to check. */
export async function toTaskInput(
  stack: string | undefined,
  command: readonly string[],
  options: RunOptions,
): Promise<TaskInput> {
  const given: Record<string, unknown> = { stack, command };
  for (const [key, value] of Object.entries(options)) {
    const field = fieldOf(key);
    if (field !== undefined) given[field] = value;
  }
  return {
    ...(given as unknown as TaskInput),
    ...toMounts(options),
    ...(await toEntries(options)),
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

async function toEntries(options: RunOptions): Promise<Pick<TaskInput, 'env' | 'labels'>> {
  const { env, envFile, label } = options;
  if (env === undefined && envFile === undefined && label === undefined) return { env: {} };
  const { readEntries } = await import('../read-entries.ts');
  return readEntries(options);
}
