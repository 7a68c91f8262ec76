/** Checks outside data against a schema that may throw. Pure. */
import { StackshimError } from './errors.ts';

/**
 * The result of `check`; undefined when it throws. A schema that bounds a list reads the `length` of any object; a length that cannot be
 * compared (`{"length": {"toString": 1}}`) makes it throw, which counts as an invalid value.
 */
export function checkSafely<Result>(check: () => Result): Result | undefined {
  try {
    return check();
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    return undefined;
  }
}
