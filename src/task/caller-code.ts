/** Handles errors of a caller's callbacks and streams, which must end neither the task nor the program. */

/** Reports an error that cannot be part of a result. */
export const warn = (error: unknown): void =>
  process.emitWarning(error instanceof Error ? error : String(error));

/** True for promises of any library or realm, which `instanceof Promise` does not recognize. */
export const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  'then' in value &&
  typeof value.then === 'function';
