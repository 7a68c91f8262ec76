/** Keys of a document that are those of its schema but for their case: programs in Go, skopeo and docker among them, take them for the same. */
import type * as z from 'zod/mini';
import { isObject } from '../../core/read-fields.ts';
import { refuseOtherCase } from '../../core/strict-json.ts';

type AnySchema = z.core.$ZodType;

/**
 * Throws AmbiguousJson. Keys that the schema leaves to the document, such as names of labels, may be any. Values that do not fit the
 * schema are passed over: the schema refuses them.
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
