/** `base.json`: the Debian release that a base is made of. docs/stacks.md describes its fields. */

import * as z from 'zod/mini';
import { checkSafely } from '../core/check-safely.ts';
import { messageOf, StackshimError } from '../core/errors.ts';

const word = /^[a-z0-9][a-z0-9.+-]*$/;

const dpkgLine = /^path-(?:exclude|include)=\/\S+$/;
const MAX_PACKAGES = 1000;

const debianSchema = z.strictObject({
  /** Debian's name of the release: `trixie`. */
  suite: z.string().check(z.regex(word, 'not the name of a release')),
  /** Packages in addition to the minimal ones. */
  include: z
    .array(z.string().check(z.regex(word, 'not the name of a package')))
    .check(z.maxLength(MAX_PACKAGES)),
  /** Lines for dpkg's configuration in the base (`path-exclude=…`); they also apply to the stacks on top of it. */
  dpkg: z.array(z.string().check(z.regex(dpkgLine, 'not a path-exclude or path-include'))),
});

const baseSchema = z.strictObject({
  version: z.literal(1),
  /** Describes `rootfs.tar`, which is made next to the Dockerfile. */
  debian: debianSchema,
});

export type BaseDefinition = z.infer<typeof baseSchema>;
export type DebianDefinition = z.infer<typeof debianSchema>;

/** Parses the text of a `base.json`. Throws ERR_STACKSHIM_BUILD_FAILED. */
export function parseBaseDefinition(text: string, directory: string): BaseDefinition {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw toInvalid(directory, `not JSON: ${messageOf(error)}`, error);
  }
  const parsed = checkSafely(() => baseSchema.safeParse(value));
  if (parsed?.success) return parsed.data;
  const issue = parsed?.error.issues[0];
  throw toInvalid(
    directory,
    `${issue?.path.join('.') ?? 'file'}: ${issue?.message ?? 'not valid'}`,
  );
}

function toInvalid(directory: string, reason: string, cause?: unknown): StackshimError {
  const text = `read ${directory}/base.json: ${reason}`;
  const hint = 'correct the named field; docs/stacks.md lists the fields';
  return new StackshimError('ERR_STACKSHIM_BUILD_FAILED', text, { hint, cause });
}
