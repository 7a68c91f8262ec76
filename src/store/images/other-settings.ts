/** Settings of an OCI image config that stackshim does not use: kept unchanged for export. */
import { FieldFault, isObject, type Reader } from '../../core/read-fields.ts';

/** Values are any JSON and are not interpreted. */
export type OtherSettings = Readonly<Record<string, unknown>>;

/** A health check has 3 levels. Unlimited nesting would overflow the writer's stack. */
const DEEPEST = 16;
const MAX_CHARS = 256 * 1024;

/** The settings without empty values, which mean the same as absent ones and of which docker writes many; undefined if none is left. */
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

/** Reads settings from a file or an image: checks their bounds and leaves the values unchanged. */
export const otherSettings: Reader<OtherSettings> = (value, field) => {
  if (!isObject(value)) throw new FieldFault(field, 'not an object');
  if (isDeeper(value, DEEPEST)) throw new FieldFault(field, `nested deeper than ${DEEPEST}`);
  if (JSON.stringify(value).length > MAX_CHARS) {
    throw new FieldFault(field, `more than ${MAX_CHARS} characters`);
  }
  return { ...value };
};

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((part) => isDeeper(part, levels - 1));
}
