/** Published vulnerabilities of runtimes that let a task out of its container. */

import { driverOf } from './drivers/driver-of.ts';
import type { Runtime } from './runtime.ts';
import { isOlderThan } from './runtime-version.ts';

/** CVE ids of the known holes of this runtime's version. A distribution's backported fix is not seen: its version does not tell. */
export function knownHoles(runtime: Runtime): readonly string[] {
  const { holes } = driverOf(runtime);
  return holes.filter(({ fixedIn }) => isHit(runtime.version, fixedIn)).map(({ id }) => id);
}

function isHit(version: string, fixedIn: readonly string[]): boolean {
  // The fix of an older line protects only the later versions of that line: 1.3.0 came before 1.2.8.
  return fixedIn.every((fix, index) => {
    const nextLine = fixedIn[index + 1]?.replace(/\.\d+$/, '');
    const isWithinLine = nextLine === undefined || isOlderThan(version, nextLine);
    return !(isWithinLine && !isOlderThan(version, fix));
  });
}
