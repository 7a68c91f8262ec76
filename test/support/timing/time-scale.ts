/** Factor for time limits: high in a test VM with an emulated processor. */

const scale = Number(process.env['STACKSHIM_TEST_TIME_SCALE'] ?? 1);

/** The number of repetitions: on a slow machine a fifth of `count`. */
export const repeated = (count: number): number => (scale > 5 ? Math.ceil(count / 5) : count);

/** A time limit of a test, in the same unit as `limit`. */
export function scaled(limit: number): number {
  return limit * scale;
}
