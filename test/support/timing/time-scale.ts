/** How much longer than on a machine of its own things may take: in a test VM whose processor is a program, many times. */

const scale = Number(process.env['STACKSHIM_TEST_TIME_SCALE'] ?? 1);

/** How often a thing is done over and over: where it takes many times as long, a fifth of `count` must do. */
export const repeated = (count: number): number => (scale > 5 ? Math.ceil(count / 5) : count);

/** A time limit of a test, in the same unit as `limit`. */
export function scaled(limit: number): number {
  return limit * scale;
}
