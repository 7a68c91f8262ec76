/** Explains a runtime's failure: the run folder is below a folder that tasks cannot pass through, because their root is not the host's. */
import { StackshimError } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { findClosedFolder } from '../sys/closed-folder.ts';

/** The operator's hint: how to open the folder. */
export const toOpenHint = (closed: string): string =>
  `run chmod o+x ${closed}, or set STACKSHIM_RUN to a folder that every user can pass through`;

/** Returns an error that names the closed folder; `error` itself if every folder is open. Loaded only after a runtime failed. */
export function explainUnreachable(error: StackshimError, { run }: Layout): StackshimError {
  const closed = findClosedFolder(run);
  if (closed === undefined) return error;
  return new StackshimError(
    'ERR_STACKSHIM_HOST_UNSUPPORTED',
    `use run folder ${run}: tasks cannot pass through ${closed}`,
    { hint: toOpenHint(closed), details: { ...error.details, path: closed }, cause: error },
  );
}
