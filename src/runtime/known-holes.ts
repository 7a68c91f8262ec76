import { driverOf } from './drivers/driver-of.ts';
import type { Hole } from './drivers/runtime-driver.ts';
import type { Runtime } from './runtime.ts';
import { isOlderThan } from './runtime-version.ts';

/**
 * CVE ids of the published vulnerabilities in this runtime's version that let a task out of its container. A fix that a distribution
 * backported is not recognized, because the version does not show it.
 */
export function knownHoles(runtime: Runtime): readonly string[] {
  const { version } = runtime;
  // A fix of an older line protects only later versions of that line: 1.3.0 was released before 1.2.8.
  const isHit = ({ fixedIn }: Hole) =>
    fixedIn.every((fix, index) => {
      const nextLine = fixedIn[index + 1]?.replace(/\.\d+$/, '');
      const isWithinLine = nextLine === undefined || isOlderThan(version, nextLine);
      return !isWithinLine || isOlderThan(version, fix);
    });
  return driverOf(runtime)
    .holes.filter(isHit)
    .map(({ id }) => id);
}
