/** Explains a runtime that could not make a container below a folder that tasks cannot pass through: a task's root is not root of the host. */
import { StackshimError } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { findClosedFolder } from '../sys/closed-folder.ts';

/** Tells the operator how to open the folder. */
export const toOpenHint = (closed: string): string =>
  `run chmod o+x ${closed}, or set STACKSHIM_RUN to a folder that every user can pass through`;

/** An error that names the closed folder; `error` itself when every folder is open. Loaded only when a runtime has failed. */
export function explainUnreachable(error: StackshimError, { run }: Layout): StackshimError {
  const closed = findClosedFolder(run);
  if (closed === undefined) return error;
  return new StackshimError(
    'ERR_STACKSHIM_HOST_UNSUPPORTED',
    `use run folder ${run}: tasks cannot pass through ${closed}`,
    { hint: toOpenHint(closed), details: { ...error.details, path: closed }, cause: error },
  );
}
