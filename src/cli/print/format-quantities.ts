/** Formats counts, sizes, times and digests for people. Pure. */

/** Formats `1 layer`, `2 layers`. */
export const formatCount = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : 's'}`;

const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Formats with at most three digits before the unit: `812 B`, `1.5 KiB`, `63 MiB`. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let amount = bytes;
  // An amount that would round to 1024 belongs to the next unit.
  while (amount >= 1023.5 && unit < SIZE_UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 9.95 ? 0 : 1;
  return `${amount.toFixed(digits)} ${SIZE_UNITS[unit]}`;
}

/** Formats processor time as ps(1) does: `00:00:07`. */
export function formatClock(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const parts = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

const AGE_UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
] as const;

/** Formats an age in the largest whole unit: `4s`, `12m`, `3h`, `2d`. */
export function formatAge(ageMs: number): string {
  const [unit, lengthMs] = AGE_UNITS.find(([, length]) => ageMs >= length) ?? ['s', 1000];
  return `${Math.max(0, Math.floor(ageMs / lengthMs))}${unit}`;
}

const SHORT_DIGEST = 'sha256:'.length + 12;

/** @param whole Shorten nothing. */
export const formatDigest = (digest: string, whole: boolean): string =>
  whole ? digest : digest.slice(0, SHORT_DIGEST);
