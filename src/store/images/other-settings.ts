/** Settings of an OCI image config that stackshim does not use: kept unchanged for export. */
import { FieldFault, isObject, type Reader } from '../../core/read-fields.ts';

/** Values are JSON, and are never looked into. */
export type OtherSettings = Readonly<Record<string, unknown>>;

/** A health check has 3 levels. Endless nesting would overflow the stack of the writer. */
const DEEPEST = 16;
const MOST_CHARS = 256 * 1024;

/** Undefined when nothing is left that says more than its absence, as docker's many empty settings do. */
export function toOtherSettings(
  settings: Readonly<Record<string, unknown>>,
): OtherSettings | undefined {
  const kept = Object.entries(settings).filter(
    ([name, value]) =>
      name !== '__proto__' &&
      value !== undefined &&
      value !== null &&
      value !== false &&
      value !== '',
  );
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** Reads what {@link toOtherSettings} gave, from a file or from an image: within bounds, values untouched. */
export const otherSettings: Reader<OtherSettings> = (value, field) => {
  if (!isObject(value)) throw new FieldFault(field, 'not an object');
  if (isDeeper(value, DEEPEST)) throw new FieldFault(field, `nested deeper than ${DEEPEST}`);
  if (JSON.stringify(value).length > MOST_CHARS) {
    throw new FieldFault(field, `more than ${MOST_CHARS} characters`);
  }
  return { ...value };
};

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((part) => isDeeper(part, levels - 1));
}
