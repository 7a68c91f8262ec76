/** Parses a task's outputs: what to take out of the task, and where to put it. */
import { posix } from 'node:path';
import { invalidField } from './field-errors.ts';
import { isAtOrBelow, parsePath, RESERVED_TREES } from './parse-path.ts';
import type { OutputRequest, TaskSpec } from './task-spec.ts';

/** `SRC[:DST]`, or an object, which also allows a source with a colon. */
export type OutputInput = string | { readonly source: string; readonly destination?: string };

type Mounted = Pick<TaskSpec, 'mounts' | 'tmpfs'>;

/** Throws ERR_STACKSHIM_SPEC_INVALID, also for a source in a mount of the task: the ended task has no files there. */
export const parseOutputs = (
  given: readonly OutputInput[],
  mounted: Mounted,
): readonly OutputRequest[] =>
  given.map((output, i) => parseOutput(output, `outputs[${i}]`, mounted));

function parseOutput(output: OutputInput, field: string, mounted: Mounted): OutputRequest {
  // Default destination: the caller's working directory.
  const { source, destination = '.' } = typeof output === 'string' ? divide(output) : output;
  parsePath(source, field);
  if (source.split('/').includes('..')) throw invalidField(field, 'a source with ".."', source);
  parsePath(destination, field);
  const path = posix.normalize(source);
  const lies = (trees: readonly string[]) => trees.find((tree) => isAtOrBelow(path, tree));
  const kernel = lies(RESERVED_TREES);
  if (kernel !== undefined) throw invalidField(field, `${kernel} has no files of the task`, source);
  const tmpfs = lies(mounted.tmpfs.map(({ target }) => target));
  if (tmpfs !== undefined) {
    throw invalidField(field, `the tmpfs ${tmpfs} ends with the task`, source);
  }
  const bind = lies(mounted.mounts.map(({ target }) => target));
  if (bind === undefined) return { source, destination };
  throw invalidField(field, `the files of the mount ${bind} are on the host already`, source);
}

/** In this form, a source has no colon. */
function divide(text: string) {
  const [, source = '', destination] = /^([^:]*)(?::(.*))?$/s.exec(text) ?? [];
  return { source, destination };
}
