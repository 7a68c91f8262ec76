/** Finds the entries of a folder in a running task, for a person who types a path. */
import type { TaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { copyFiles, toOrder } from './copy-files.ts';

/** Nobody waits longer for a completion. */
const LISTED_WITHIN_MS = 5_000;
/** The task chooses the names, and a shell puts completions into root's command line as they are: other names could be commands. */
const HARMLESS = /^[\p{L}\p{N}._+@%,-]+\/?$/u;

/** In alphabetical order; names of folders end with a slash. Names that a shell could take for something else are left out. Rejects like `copyFiles`. */
export async function listFiles(
  layout: Layout,
  id: TaskId,
  folder: string,
): Promise<readonly string[]> {
  const chunks: Uint8Array[] = [];
  const order = toOrder(layout, id, { direction: 'list', inside: folder, outside: undefined });
  await copyFiles(order, {
    output: { write: (chunk) => void chunks.push(chunk) },
    signal: AbortSignal.timeout(LISTED_WITHIN_MS),
  });
  const names = Buffer.concat(chunks).toString().split('\0');
  return names.filter((name) => HARMLESS.test(name)).sort();
}
