/** How far the clocks of this machine and of the store are apart. Delays, schedules and the times in records depend on both. */
import { StackshimError } from '../../core/errors.ts';
import type { Inspection } from './queue-store.ts';

/** A store whose clock is off by more is refused at start. */
export const MOST_SKEW_MS = 30_000;

/** How many ms the server's clock is ahead of this machine's; negative if behind. Zero if its time lies within the request's duration. */
export async function measureSkew(askTimeMs: () => Promise<number>): Promise<number> {
  const before = Date.now();
  const timeMs = await askTimeMs();
  if (timeMs < before) return timeMs - before;
  return Math.max(0, timeMs - Date.now());
}

/** Throws ERR_STACKSHIM_STORE_SKEWED if the server's clock is too far off. */
export function requireSameTime({ skewMs }: Pick<Inspection, 'skewMs'>, shown: string): void {
  if (Math.abs(skewMs) <= MOST_SKEW_MS) return;
  const message = `open the store ${shown}: ${describeSkew(skewMs)}, more than ${MOST_SKEW_MS / 1000} s`;
  throw new StackshimError('ERR_STACKSHIM_STORE_SKEWED', message, { details: { skewMs } });
}

/** Describes a skew: `its clock is 61 s ahead of this machine's`. */
export function describeSkew(skewMs: number): string {
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  return `its clock is ${seconds} s ${skewMs < 0 ? 'behind' : 'ahead of'} this machine's`;
}
