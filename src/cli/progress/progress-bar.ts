/** A line with a bar, for work of a known size. Pure except for the clock. */
import type { Glyphs } from '../print/draw-bars.ts';
import { formatBytes } from '../print/format-quantities.ts';
import { shorten, widthOf } from '../print/text-width.ts';

const MOST_BAR = 30;
const LEAST_BAR = 8;
/** An earlier rate says little. */
const RATE_AFTER_MS = 1000;

export interface Bar {
  /** What is being done: `layer 2 of 3`. */
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** The amount in words: `3.0 MiB of 12 MiB`. */
  readonly amount: string;
}

/** Returns at most `cells` cells. Shortens, then drops the bar; then cuts the end of the line. */
export function toBarLine(
  { label, done, total, amount }: Bar,
  cells: number,
  glyphs: Glyphs,
): string {
  const share = total <= 0 ? 1 : Math.min(1, done / total);
  const tail = `${String(Math.floor(100 * share)).padStart(3)}%  ${amount}`;
  const room = cells - widthOf(label) - widthOf(tail) - 2;
  if (room < LEAST_BAR) return shorten(`${label} ${tail}`, cells);
  const length = Math.min(MOST_BAR, room);
  const full = Math.floor(length * share);
  return `${label} ${glyphs.full.repeat(full)}${glyphs.empty.repeat(length - full)} ${tail}`;
}

/** Formats `3.0 MiB of 12 MiB`, with the rate once that is known. */
export type RateMeter = (doneBytes: number, totalBytes: number) => string;

/** Begins to measure now. */
export function createRateMeter(now: () => number = Date.now): RateMeter {
  const since = now();
  return (doneBytes, totalBytes) => {
    const elapsedMs = now() - since;
    const amount = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
    if (elapsedMs < RATE_AFTER_MS) return amount;
    return `${amount}  ${formatBytes((1000 * doneBytes) / elapsedMs)}/s`;
  };
}
