/** What an archive of one kind may contain: an image's layers, or a task's code. */
import type { ErrorCode } from '../core/error-codes.ts';
import { StackshimError } from '../core/errors.ts';
import type { AbsoluteNames } from './entry-path.ts';

export interface ArchivePolicy {
  /** The archive's name in messages: `layer`. */
  readonly subject: string;
  readonly invalidCode: ErrorCode;
  /** True: `.wh.` names delete what is below. False: refuse them. */
  readonly whiteouts: boolean;
  readonly devices: 'drop' | 'refuse';
  readonly fifos: boolean;
  /** `user`: only attributes that users may set, and access control lists. */
  readonly xattrs: boolean | 'user';
  /** Whether symbolic links may lead outside the archive. */
  readonly outwardLinks: boolean;
  /** `ko` and other builders write a layer's names with a leading slash, which docker removes. */
  readonly absoluteNames: AbsoluteNames;
  /** `root`: everything belongs to 0:0. With `root` and `plain`, no file is setuid, setgid or sticky. */
  readonly ownership: 'keep' | 'plain' | 'root';
  /** Leave out entries with these names everywhere, with everything below them. */
  readonly leaveOutNames: ReadonlySet<string>;
  /** Leave out empty regular files at these paths. */
  readonly leaveOutEmptyFiles: ReadonlySet<string>;
}

/** An OCI image's layer (image-spec, layer.md). The empty files are mount points that buildah leaves behind; they would hide the base's. */
export const LAYER_POLICY: ArchivePolicy = {
  subject: 'layer',
  invalidCode: 'ERR_STACKSHIM_LAYER_INVALID',
  whiteouts: true,
  devices: 'drop',
  fifos: true,
  xattrs: true,
  outwardLinks: true,
  absoluteNames: 'beneath',
  ownership: 'keep',
  leaveOutNames: new Set(),
  leaveOutEmptyFiles: new Set(['etc/hosts', 'run/.containerenv']),
};

/** The error for an entry that the policy or format forbids. `path` has bytes as Latin-1. */
export function toInvalidArchive(
  policy: ArchivePolicy,
  reason: string,
  path?: string,
): StackshimError {
  const entry = path === undefined ? undefined : toDisplayPath(path);
  const subject = entry === undefined ? policy.subject : `${policy.subject} entry "${entry}"`;
  return new StackshimError(policy.invalidCode, `read ${subject}: ${reason}`, {
    details: entry === undefined ? { reason } : { reason, entry },
  });
}

/** The error for an archive over a limit. */
export function toArchiveTooLarge(
  policy: ArchivePolicy,
  limit: string,
  maximum: number,
): StackshimError {
  const message = `read ${policy.subject}: more than ${maximum} ${limit}`;
  const details = { limit, maximum };
  return new StackshimError('ERR_STACKSHIM_LAYER_TOO_LARGE', message, { details });
}

/** Makes bytes in Latin-1 readable for a message: decodes UTF-8, escapes, shortens. */
export function toDisplayPath(path: string): string {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  const text = Buffer.from(shown, 'latin1').toString('utf8');
  return JSON.stringify(path.length > 200 ? `${text.slice(0, -1)}…` : text).slice(1, -1);
}
