/** Names of things as branded strings, so that one kind cannot be passed for another. */
import { StackshimError } from './errors.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Unique on the machine; also the container's name and a path component. */
export type TaskId = Branded<'TaskId'>;
/** Lower-case hex sha256 of the layer's EROFS file. */
export type LayerId = Branded<'LayerId'>;
/** `sha256:<hex>` of the OCI manifest or, without one, of docker's config. */
export type ImageDigest = Branded<'ImageDigest'>;
/** Name of a stack or a base: `python-3.13`. */
export type StackName = Branded<'StackName'>;
/** For whom a task runs, as named by the caller; also a cgroup name and a path component. */
export type TenantName = Branded<'TenantName'>;
/** Name of a code package: `report-mailer`. Never an archive's name, which would read as a path. */
export type PackageName = Branded<'PackageName'>;
/** Lower-case hex sha256 of everything that affects the result of a task's build step. */
export type BuildKey = Branded<'BuildKey'>;

const TASK_ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/;
const STACK_NAME = /^[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){0,62}$/;
const ARCHIVE_NAME = /\.(?:tar\.gz|tgz|zip)$/;
const HEX_256 = /^[0-9a-f]{64}$/;

export const isTaskId = (text: string): text is TaskId => TASK_ID.test(text);
export const isTenantName = (text: string): text is TenantName => TASK_ID.test(text);
export const isStackName = (text: string): text is StackName => STACK_NAME.test(text);
export const isPackageName = (text: string): text is PackageName =>
  STACK_NAME.test(text) && !ARCHIVE_NAME.test(text);
export const isLayerId = (text: string): text is LayerId => HEX_256.test(text);
export const isBuildKey = (text: string): text is BuildKey => HEX_256.test(text);
export const isImageDigest = (text: string): text is ImageDigest =>
  text.startsWith('sha256:') && HEX_256.test(text.slice(7));

/** Checks outside text. Throws ERR_STACKSHIM_SPEC_INVALID with `details.field` `id`. */
export function parseTaskId(text: string): TaskId {
  if (isTaskId(text)) return text;
  throw toInvalidName('task id', text, 'id');
}

/** Checks outside text. Throws ERR_STACKSHIM_SPEC_INVALID with `details.field` `tenant`. */
export function parseTenantName(text: string): TenantName {
  if (isTenantName(text)) return text;
  throw toInvalidName('tenant', text, 'tenant');
}

const toInvalidName = (what: string, text: string, field: string) =>
  new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `${what} ${JSON.stringify(text.slice(0, 200))}: not 1 to 64 letters, digits, "_", "." or "-" that start with a letter or digit`,
    { details: { field } },
  );

/** A random task id: 20 base-32 characters from 13 random bytes. */
export function toTaskId(randomBytes: Uint8Array): TaskId {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  let id = '';
  let bits = 0;
  let held = 0;
  for (const byte of randomBytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5 && id.length < 20) {
      bits -= 5;
      id += alphabet.charAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return id as TaskId;
}
