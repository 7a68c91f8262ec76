/** The user that a task's command runs as. */
import { invalidField } from './invalid-field.ts';

const PART = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\\$?';
/** No text of another form names a user. */
export const USER = new RegExp(`^${PART}(?::${PART})?$`);

/** Checks the form `name|uid[:group|gid]`; names are looked up in the image later. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseUser(text: string, field: string): string {
  if (USER.test(text)) return text;
  throw invalidField(field, 'not NAME|UID or NAME|UID:GROUP|GID', text);
}
