/** What a copying process is told, and what it answers. */

import type { ErrorJson } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { TakenOutput } from '../outputs/output-report.ts';

/** Stands for a tar on the standard streams. */
export const STREAM = '-';

/** The word by which the executable is called as a copying process. */
export const COPY_WORD = 'copy-process';

export interface CopyOrder {
  readonly layout: Layout;
  readonly task: TaskId;
  /** `out`: from the task to the host. `list`: the names in a folder of a running task, to standard output. */
  readonly direction: 'out' | 'in' | 'list';
  /** In the task; relative paths begin at its root. */
  readonly inside: string;
  /** On the host, absolute, or {@link STREAM}. */
  readonly outside: string;
}

/** What was copied. `leftOut` has the first 20 entries. */
export type CopyReport = Pick<
  TakenOutput,
  'files' | 'folders' | 'links' | 'bytes' | 'leftOut' | 'leftOutCount'
>;

/** One line of JSON on standard error. */
export type CopyAnswer = { readonly report: CopyReport } | { readonly error: ErrorJson };

const LISTED = 20;
const PATH_CHARS = 300;

export const toCopyReport = ({ leftOut, leftOutCount, ...taken }: TakenOutput): CopyReport => ({
  ...{ files: taken.files, folders: taken.folders, links: taken.links, bytes: taken.bytes },
  leftOut: leftOut
    .slice(0, LISTED)
    .map(({ path, reason }) => ({ path: path.slice(0, PATH_CHARS), reason })),
  leftOutCount,
});
