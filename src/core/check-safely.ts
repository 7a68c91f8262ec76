/** Checks outside data against a schema that may throw. Pure. */
import { StackshimError } from './errors.ts';

/**
 * The result of `check`; undefined if it throws. A schema that bounds a list reads any object's `length`, and throws if that cannot be compared
 * (`{"length": {"toString": 1}}`): such a value is invalid.
 */
export function checkSafely<Result>(check: () => Result): Result | undefined {
  try {
    return check();
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    return undefined;
  }
}
