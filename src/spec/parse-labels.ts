/** Labels: free text that a caller keeps with a task. */
import { invalidField } from './invalid-field.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

export const LABEL_KEY = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/;

/** `KEY=VALUE`, or `KEY` alone for an empty value; a later entry wins. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseLabelEntries(entries: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const entry of entries) {
    const at = entry.indexOf('=');
    const key = at === -1 ? entry : entry.slice(0, at);
    checkLabelKey(key, 'labels');
    labels[key] = at === -1 ? '' : entry.slice(at + 1);
  }
  checkLabels(labels, 'labels');
  return labels;
}

/** Throws ERR_STACKSHIM_SPEC_INVALID when labels are too many, too long or have an unusable key. */
export function checkLabels(labels: Readonly<Record<string, string>>, field: string): void {
  const entries = Object.entries(labels);
  if (entries.length > SPEC_BOUNDS.labels) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.labels} labels`);
  }
  for (const [key, value] of entries) {
    checkLabelKey(key, field);
    if (value.length > SPEC_BOUNDS.labelValueChars || value.includes('\0')) {
      throw invalidField(
        `${field}.${key}`,
        `not ${SPEC_BOUNDS.labelValueChars} characters or less without NUL`,
      );
    }
  }
}

function checkLabelKey(key: string, field: string): void {
  const usable = LABEL_KEY.test(key) && key.length <= SPEC_BOUNDS.labelKeyChars;
  if (!usable)
    throw invalidField(field, 'not a key of letters, digits, ".", "_", "/" and "-"', key);
}
