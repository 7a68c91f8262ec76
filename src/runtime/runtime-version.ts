/** Stored versions of runtimes (asking an executable costs more than the rest of a task's set-up), and which versions have known holes. */
import { readFileSync, type Stats } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { driverOf, RUNTIME_KINDS, RUNTIME_NAMES } from './drivers/driver-of.ts';
import type { Hole } from './drivers/runtime-driver.ts';
import type { Runtime, RuntimeIdentity, RuntimeKind } from './runtime.ts';

/** Distinguishes executables that had one path at different times. */
interface Fingerprint {
  readonly device: number;
  readonly inode: number;
  readonly size: number;
  readonly mtimeMs: number;
}

export interface Remembered {
  readonly fingerprint: Fingerprint;
  readonly runtime: Runtime;
}

const remembered = new Map<string, Remembered>();

/**
 * The runtime at a path; undefined if no process on this machine has asked it for its version. Costs nothing if this process has, else one file
 * read.
 *
 * @param stats Status of the executable, links followed.
 * @param directory Folder of versions stored for other processes; an entry is void when its executable changes.
 */
export function knownRuntime(path: string, stats: Stats, directory: string): Runtime | undefined {
  const known = remembered.get(path);
  if (known !== undefined && isOf(known, stats)) return known.runtime;
  // Only a cache: ignores a file that is absent, damaged or about another executable.
  const kept = readKept(cacheFileOf(stats, directory));
  if (kept?.runtime.path !== path || !isOf(kept, stats)) return undefined;
  const { kind, version } = kept.runtime;
  const runtime = { kind, path, version };
  rememberRuntime({ fingerprint: kept.fingerprint, runtime });
  return runtime;
}

export const rememberRuntime = (found: Remembered): void =>
  void remembered.set(found.runtime.path, found);

export const cacheFileOf = ({ dev, ino }: Stats, directory: string): string =>
  `${directory}/${dev}-${ino}.json`;

/** Where an executable's copy belongs; the name identifies the executable. */
export const copyFileOf = (copiesDirectory: string, stats: Stats): string =>
  `${copiesDirectory}/${stats.dev}-${stats.ino}-${stats.size}-${Math.trunc(stats.mtimeMs)}/runtime`;

/** The identity for records, which two plans must have in common. The copy may differ between processes. */
export const withoutCopy = ({ kind, path, version }: Runtime): RuntimeIdentity => ({
  kind,
  path,
  version,
});

export const kindOf = (name: string | undefined): RuntimeKind =>
  RUNTIME_NAMES.find((known) => known === name) ?? 'other';

export function fingerprintOf(stats: Stats): Fingerprint {
  return { device: stats.dev, inode: stats.ino, size: stats.size, mtimeMs: stats.mtimeMs };
}

/** Whether the stored answer came from the executable with this status. */
export function isOf({ fingerprint }: Remembered, stats: Stats): boolean {
  const { device, inode, size, mtimeMs } = fingerprintOf(stats);
  return (
    fingerprint.device === device &&
    fingerprint.inode === inode &&
    fingerprint.size === size &&
    fingerprint.mtimeMs === mtimeMs
  );
}

/** Undefined for an absent or damaged file. */
export function readKept(file: string): Remembered | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isRemembered(value) ? value : undefined;
  } catch (error) {
    const code = errnoCodeOf(error);
    if (error instanceof SyntaxError || code === 'ENOENT' || code === 'EACCES') return undefined;
    throw error;
  }
}

function isRemembered(value: unknown): value is Remembered {
  if (!hasFields(value, ['fingerprint', 'runtime'])) return false;
  const { fingerprint, runtime } = value;
  return (
    hasFields(fingerprint, ['device', 'inode', 'size', 'mtimeMs']) &&
    hasFields(runtime, ['kind', 'path', 'version']) &&
    typeof runtime.path === 'string' &&
    runtime.path.startsWith('/') &&
    !runtime.path.includes('\0') &&
    typeof runtime.version === 'string' &&
    /^\d/.test(runtime.version) &&
    RUNTIME_KINDS.some((kind) => kind === runtime.kind)
  );
}

function hasFields<Name extends string>(
  value: unknown,
  names: readonly Name[],
): value is Record<Name, unknown> {
  return typeof value === 'object' && value !== null && names.every((name) => name in value);
}

/** The leading numbers of `1.3.6+ds1` or `1.2.0-rc.1`: [1, 3, 6] for the first. */
function parseVersion(text: string): readonly number[] {
  return (/^\d+(?:\.\d+)*/.exec(text)?.[0] ?? '').split('.').map(Number);
}

/** Whether `version` is lower than `other`. A missing part counts as 0; suffixes are ignored. */
export function isOlderThan(version: string, other: string): boolean {
  const [ours, theirs] = [parseVersion(version), parseVersion(other)];
  for (let part = 0; part < Math.max(ours.length, theirs.length); part++) {
    const difference = (ours[part] ?? 0) - (theirs[part] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/**
 * CVE ids of published vulnerabilities in this runtime's version that let a task out of its container. Does not recognise fixes that a
 * distribution backported, because the version does not show them.
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
