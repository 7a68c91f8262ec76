/** What a task's code may contain, as a directory or an archive, and its form on the way into an EROFS file. */
import type { ArchiveCleaner, CleanedArchive } from '../archive/archive-cleaner.ts';
import type { ArchiveLimits } from '../archive/archive-limits.ts';
import type { ArchivePolicy } from '../archive/archive-policy.ts';

/** Everything belongs to the task's root, no link leads outside `/task`, and version control files are left out. */
export const CODE_POLICY: ArchivePolicy = {
  subject: 'code',
  invalidCode: 'ERR_STACKSHIM_CODE_INVALID',
  whiteouts: false,
  devices: 'refuse',
  fifos: false,
  xattrs: false,
  outwardLinks: false,
  absoluteNames: 'refuse',
  ownership: 'root',
  leaveOutNames: new Set(['.git']),
  leaveOutEmptyFiles: new Set(),
};

/**
 * Code is packed before a task can start: 100,000 entries (a large `node_modules`) take 2 s, 2e9 look-up steps (60,000 files in one folder) 5 s.
 * 2 GiB is twice a task's default disk limit.
 */
export const CODE_LIMITS: ArchiveLimits = {
  entries: 100_000,
  bytes: 2 * 1024 ** 3,
  ratio: 200,
  headerBytes: 128 * 1024,
  pathBytes: 4095,
  depth: 128,
  lookupSteps: 2_000_000_000,
};

/** A clean tar being written, with counts of its content. */
export interface CleanCode {
  readonly tar: AsyncIterable<Buffer>;
  report(): Pick<CleanedArchive, 'entries' | 'bytes'>;
}

/** Ends the cleaner after `entries`; reading them feeds the cleaner. */
export function toCleanCode(
  cleaner: ArchiveCleaner,
  entries: AsyncIterable<Buffer> | Iterable<Buffer>,
): CleanCode {
  async function* clean(): AsyncGenerator<Buffer> {
    yield* entries;
    cleaner.end();
    const rest = cleaner.take();
    if (rest !== undefined) yield rest;
  }
  return { tar: clean(), report: () => cleaner.report() };
}
