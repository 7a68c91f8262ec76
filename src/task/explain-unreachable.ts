/** Why no task can have its root filesystem: its root is no root of the host, and stands below a folder that only root passes. */
import { StackshimError } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { findClosedFolder } from '../sys/closed-folder.ts';

/** What the operator does about it. */
export const toOpenHint = (closed: string): string =>
  `run chmod o+x ${closed}, or set STACKSHIM_RUN to a folder that every user can pass through`;

/** The reason behind a runtime that could not make a container; the error itself where that is not why. Loaded by such tasks alone. */
export function explainUnreachable(error: StackshimError, { run }: Layout): StackshimError {
  const closed = findClosedFolder(run);
  if (closed === undefined) return error;
  return new StackshimError(
    'ERR_STACKSHIM_HOST_UNSUPPORTED',
    `reach run folder ${run}: tasks cannot pass through ${closed}`,
    { hint: toOpenHint(closed), details: { ...error.details, path: closed }, cause: error },
  );
}
