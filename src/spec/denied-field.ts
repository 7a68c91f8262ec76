/** The error for a field that asks for more than is allowed. */
import { StackshimError } from '../core/errors.ts';

export interface Denial {
  readonly field: string;
  readonly asked: string | number;
  readonly allowed: string | number | readonly string[];
  /** `asked` in the form that people write; absent: `asked` itself. */
  readonly shown?: string;
  /** Completes the sentence `<field> <asked>: …`. */
  readonly reason: string;
}

/** An ERR_STACKSHIM_SPEC_DENIED that names the field and both values. */
export function deniedField({ field, asked, allowed, reason, shown }: Denial): StackshimError {
  return new StackshimError('ERR_STACKSHIM_SPEC_DENIED', `${field} ${shown ?? asked}: ${reason}`, {
    details: { field, asked, allowed },
  });
}
