/** The order that a copying process gets, and its answer. */

import type { ErrorJson } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { TakenOutput } from '../outputs/output-report.ts';

/** The path that stands for a tar on the standard streams. */
export const STREAM = '-';

/** The first argument that makes the executable a copying process. */
export const COPY_WORD = 'copy-process';

export interface CopyOrder {
  readonly layout: Layout;
  readonly task: TaskId;
  /** `out`: from the task to the host. `in`: into the task. `list`: the names in a folder of a running task, to standard output. */
  readonly direction: 'out' | 'in' | 'list';
  /** Path in the task; relative paths begin at its root. */
  readonly inside: string;
  /** Absolute path on the host, or {@link STREAM}. */
  readonly outside: string;
}

/** What was copied. `leftOut` has the first 20 entries, with paths cut after 300 characters. */
export type CopyReport = Pick<
  TakenOutput,
  'files' | 'folders' | 'links' | 'bytes' | 'leftOut' | 'leftOutCount'
>;

/** The answer: one line of JSON on standard error. */
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
