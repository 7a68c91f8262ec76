/** Asks a runtime for its version, once per executable: starting it costs more than the rest of a task's set-up. */
import { readFileSync, type Stats } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { RUNTIME_NAMES } from './drivers/driver-of.ts';
import type { Runtime, RuntimeIdentity, RuntimeKind } from './runtime.ts';

/** Distinguishes executables that had the same path at different times. */
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
 * The runtime at a path, if any process of this machine has asked it for its version; otherwise undefined. Costs nothing if this process
 * knows it, and one file read if this machine knows it.
 */
export function knownRuntime(path: string, options: VersionOptions): Runtime | undefined {
  const fingerprint = fingerprintOf(options.stats);
  const known = remembered.get(path);
  if (known !== undefined && isSame(known.fingerprint, fingerprint)) return known.runtime;
  const runtime = readCache(cacheFileOf(options), path, fingerprint);
  if (runtime !== undefined) rememberRuntime({ fingerprint, runtime });
  return runtime;
}

export const rememberRuntime = (found: Remembered): void =>
  void remembered.set(found.runtime.path, found);

export interface VersionOptions {
  /** The folder in which versions are stored for other processes; an entry is void when its executable changes. */
  readonly cacheDirectory: string;
  /** The status of the executable, links followed. */
  readonly stats: Stats;
}

export function cacheFileOf({ cacheDirectory, stats }: VersionOptions): string {
  return `${cacheDirectory}/${stats.dev}-${stats.ino}.json`;
}

/** Where a copy of an executable belongs; the name tells which executable it is a copy of. */
export const copyFileOf = (copiesDirectory: string, stats: Stats): string =>
  `${copiesDirectory}/${stats.dev}-${stats.ino}-${stats.size}-${Math.trunc(stats.mtimeMs)}/runtime`;

/** What a record names, and what two plans must have in common. Whether there is a copy may differ from process to process. */
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

function isSame(one: Fingerprint, other: Fingerprint): boolean {
  return (
    one.device === other.device &&
    one.inode === other.inode &&
    one.size === other.size &&
    one.mtimeMs === other.mtimeMs
  );
}

/** Undefined if the file is absent, damaged or about another executable: it is only a cache. */
export function readCache(
  file: string,
  path: string,
  fingerprint: Fingerprint,
): Runtime | undefined {
  const value = readKept(file);
  if (value === undefined || !isSame(value.fingerprint, fingerprint)) return undefined;
  const { kind, version } = value.runtime;
  return value.runtime.path === path ? { kind, path, version } : undefined;
}

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
    (runtime.kind === 'other' ||
      (typeof runtime.kind === 'string' && kindOf(runtime.kind) !== 'other'))
  );
}

function hasFields<Name extends string>(
  value: unknown,
  names: readonly Name[],
): value is Record<Name, unknown> {
  return typeof value === 'object' && value !== null && names.every((name) => name in value);
}

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
