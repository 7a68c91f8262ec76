/** Compares the version numbers that runtimes print. */

/** The leading numbers of `1.3.6+ds1` or `1.2.0-rc.1`: [1, 3, 6]. */
function parseVersion(text: string): readonly number[] {
  return (/^\d+(?:\.\d+)*/.exec(text)?.[0] ?? '').split('.').map(Number);
}

/** Whether `version` is lower than `other`; a missing part counts as 0, and suffixes are ignored. */
export function isOlderThan(version: string, other: string): boolean {
  const [ours, theirs] = [parseVersion(version), parseVersion(other)];
  for (let part = 0; part < Math.max(ours.length, theirs.length); part++) {
    const difference = (ours[part] ?? 0) - (theirs[part] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
