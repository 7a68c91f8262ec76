/** Code of a caller's that goes wrong must end neither the task nor the program. */

/** Tells of a mistake that no result can tell of any more. */
export const warn = (error: unknown): void =>
  process.emitWarning(error instanceof Error ? error : String(error));

/** A promise of any library, or of another realm: `instanceof Promise` does not know those. */
export const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  'then' in value &&
  typeof value.then === 'function';
