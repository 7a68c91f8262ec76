/** Holds outside data against a schema without trusting the schema to be calm about it. Pure. */
import { StackshimError } from './errors.ts';

/**
 * What `check` returns; undefined when it throws. A schema that bounds a list asks any object for its `length`, and one that cannot be
 * compared (`{"length": {"toString": 1}}`) makes it throw: that is a fault of the value like any other.
 */
export function checkSafely<Result>(check: () => Result): Result | undefined {
  try {
    return check();
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    return undefined;
  }
}
