/** Errors of a caller's callbacks and streams, which must end neither the task nor the program. */

/** Reports an error that no result can hold. */
export const warn = (error: unknown): void =>
  process.emitWarning(error instanceof Error ? error : String(error));

/** A promise of any library, or of another realm: `instanceof Promise` does not know those. */
export const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  'then' in value &&
  typeof value.then === 'function';
