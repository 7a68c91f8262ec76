/** Finds keys of a document that differ from its schema's keys only in case: programs in Go, such as skopeo and docker, take them for the same keys. */
import type * as z from 'zod/mini';
import { isObject } from '../../core/read-fields.ts';
import { refuseOtherCase } from '../../core/strict-json.ts';

type AnySchema = z.core.$ZodType;

/**
 * Throws AmbiguousJson. Keys that the schema does not name, such as labels, may have any spelling. Values that do not fit the schema are
 * skipped, because the schema refuses them.
 */
export function refuseOtherSpellings(schema: AnySchema, value: unknown): void {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  switch (def.type) {
    case 'optional':
    case 'nullable':
      refuseOtherSpellings(def.innerType, value);
      return;
    case 'array':
      if (Array.isArray(value)) for (const one of value) refuseOtherSpellings(def.element, one);
      return;
    case 'object':
      if (!isObject(value)) return;
      refuseOtherCase(value, Object.keys(def.shape));
      for (const [key, one] of Object.entries(def.shape)) {
        refuseOtherSpellings(one, Reflect.get(value, key));
      }
      return;
    default:
  }
}
