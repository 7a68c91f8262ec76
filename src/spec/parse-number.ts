/** Plain numbers: cpus and counts. */
import { invalidField } from './invalid-field.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

export const DECIMAL = /^\d{1,10}(?:\.\d{1,9})?$/;

/** CPUs from a number or its decimal text, at least 0.01 as in docker. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseCpus(value: string | number, field: string): number {
  const cpus = numberOf(value, field);
  if (!(cpus >= SPEC_BOUNDS.cpusMin && cpus <= SPEC_BOUNDS.cpusMax)) {
    throw invalidField(
      field,
      `not between ${SPEC_BOUNDS.cpusMin} and ${SPEC_BOUNDS.cpusMax} cpus`,
      value,
    );
  }
  return cpus;
}

export interface CountBounds {
  readonly min: number;
  readonly max: number;
}

/** A whole number from a number or its decimal text. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseCount(value: string | number, field: string, bounds: CountBounds): number {
  const count = numberOf(value, field);
  if (!Number.isInteger(count) || count < bounds.min || count > bounds.max) {
    throw invalidField(field, `not a whole number from ${bounds.min} to ${bounds.max}`, value);
  }
  return count;
}

function numberOf(value: string | number, field: string): number {
  if (typeof value === 'number') return value;
  if (DECIMAL.test(value)) return Number(value);
  throw invalidField(field, 'not a decimal number', value);
}
