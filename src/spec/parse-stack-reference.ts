/** Which stack a task runs in, and at which revision. */
import { isImageDigest, isStackName } from '../core/ids.ts';
import { invalidField } from './invalid-field.ts';
import type { StackReference } from './task-spec.ts';

/** `name`, `name@rev:N` or `name@sha256:…`. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseStackReference(text: string, field: string): StackReference {
  const at = text.indexOf('@');
  const name = at === -1 ? text : text.slice(0, at);
  if (!isStackName(name)) {
    throw invalidField(field, 'not a name of lower-case letters, digits, ".", "_" and "-"', text);
  }
  if (at === -1) return { name };
  const pin = text.slice(at + 1);
  if (isImageDigest(pin)) return { name, image: pin };
  const [, revision] = /^rev:([1-9]\d{0,14})$/.exec(pin) ?? [];
  if (revision !== undefined) return { name, revision: Number(revision) };
  throw invalidField(field, '"@" is not followed by rev:N or sha256:<64 hex digits>', text);
}
