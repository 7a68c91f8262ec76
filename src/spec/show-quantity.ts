/** Quantities in messages, in the units that people type them in. Pure. */

const BYTE_UNITS = ['t', 'g', 'm', 'k'] as const;
const DURATION_UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** `512m` for 536870912: in the largest unit that is exact, else in bytes. */
export function showBytes(bytes: number): string {
  for (const [index, unit] of BYTE_UNITS.entries()) {
    const size = 1024 ** (BYTE_UNITS.length - index);
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes} bytes`;
}

/** `1m30s` for 90000 milliseconds. */
export function showDuration(ms: number): string {
  let left = Math.round(ms);
  let shown = '';
  for (const [unit, size] of DURATION_UNITS) {
    const count = Math.floor(left / size);
    if (count > 0) shown += `${count}${unit}`;
    left -= count * size;
  }
  return shown === '' ? '0s' : shown;
}
