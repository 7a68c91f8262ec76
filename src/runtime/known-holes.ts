/** Published vulnerabilities of runtimes that let a task out of its container. */
import { isOlderThan } from './compare-versions.ts';
import type { Runtime } from './runtime.ts';

interface Hole {
  readonly id: string;
  /** First fixed version of each release line, oldest line first; versions before the first line have the hole too. */
  readonly fixedIn: readonly string[];
}

/** Masked-path, console and procfs-write races: runc's advisories of 2025-11-05. */
const FIXED_2025 = ['1.2.8', '1.3.3'];
const runcHoles: readonly Hole[] = [
  { id: 'CVE-2024-21626', fixedIn: ['1.1.12'] },
  { id: 'CVE-2025-31133', fixedIn: FIXED_2025 },
  { id: 'CVE-2025-52565', fixedIn: FIXED_2025 },
  { id: 'CVE-2025-52881', fixedIn: FIXED_2025 },
];

/** CVE ids of the known holes of this runtime's version. A distribution's backported fix is not seen: its version does not tell. */
export function knownHoles(runtime: Runtime): readonly string[] {
  if (runtime.kind !== 'runc') return [];
  return runcHoles.filter(({ fixedIn }) => isHit(runtime.version, fixedIn)).map(({ id }) => id);
}

function isHit(version: string, fixedIn: readonly string[]): boolean {
  // The fix of an older line protects only the later versions of that line: 1.3.0 came before 1.2.8.
  return fixedIn.every((fix, index) => {
    const nextLine = fixedIn[index + 1]?.replace(/\.\d+$/, '');
    const isWithinLine = nextLine === undefined || isOlderThan(version, nextLine);
    return !(isWithinLine && !isOlderThan(version, fix));
  });
}
