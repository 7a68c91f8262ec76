/** Asks a runtime for its version, once per executable: starting it costs more than the rest of a task's set-up. */
import { readFileSync, rmSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoCodeOf, isUsedUp, messageOf, StackshimError } from '../core/errors.ts';
import { ensureDirectory, namesIn, writeFileAtomic } from '../sys/files.ts';
import { isAbandonedName } from '../sys/owned-name.ts';
import { SYSTEM_PATH } from '../sys/program-environment.ts';
import { type EndedProgram, runProgram } from '../sys/run-program.ts';
import { RUNTIME_NAMES } from './drivers/driver-of.ts';
import type { Runtime, RuntimeKind } from './runtime.ts';

const VERSION_TIMEOUT_MS = 10_000;
const MAX_OUTPUT_BYTES = 65_536;

/** What tells one executable from another at the same path. */
interface Fingerprint {
  readonly device: number;
  readonly inode: number;
  readonly size: number;
  readonly mtimeMs: number;
}

interface Remembered {
  readonly fingerprint: Fingerprint;
  readonly runtime: Runtime;
}

const remembered = new Map<string, Remembered>();

export interface VersionOptions {
  /** Folder of the files in which versions are kept for other processes; void when an executable changes. */
  readonly cacheDirectory: string;
  /** Of the executable, links followed. */
  readonly stats: Stats;
}

/**
 * The runtime at a path with its kind and version. Known in this process: no further call; known on this machine: one file read.
 * Rejects with ERR_STACKSHIM_RUNTIME_NOT_FOUND when the program is not an OCI runtime or cannot be run.
 */
export async function readRuntimeVersion(path: string, options: VersionOptions): Promise<Runtime> {
  const fingerprint = fingerprintOf(options.stats);
  const known = remembered.get(path);
  if (known !== undefined && isSame(known.fingerprint, fingerprint)) return known.runtime;
  const cacheFile = `${options.cacheDirectory}/${fingerprint.device}-${fingerprint.inode}.json`;
  let runtime = readCache(cacheFile, path, fingerprint);
  if (runtime === undefined) {
    runtime = parseVersionOutput(path, await askVersion(path));
    await writeCache(cacheFile, options.cacheDirectory, { fingerprint, runtime });
  }
  remembered.set(path, { fingerprint, runtime });
  return runtime;
}

/** What `--version` printed, as a runtime. Throws ERR_STACKSHIM_RUNTIME_NOT_FOUND for what no OCI runtime prints. */
export function parseVersionOutput(path: string, output: string): Runtime {
  const match = /^(\S+) version (?:release-)?(\d\S*)$/m.exec(output.slice(0, MAX_OUTPUT_BYTES));
  const [, name, version] = match ?? [];
  const kind = kindOf(name);
  // Many programs print `NAME version N`; only runtimes name the specification that they follow.
  if (version === undefined || (kind === 'other' && !/^spec: \d/m.test(output))) {
    throw notRuntime(path, 'not an OCI runtime');
  }
  return { kind, path, version };
}

const kindOf = (name: string | undefined): RuntimeKind =>
  RUNTIME_NAMES.find((known) => known === name) ?? 'other';

async function askVersion(path: string): Promise<string> {
  let ended: EndedProgram;
  try {
    const asked = {
      path,
      args: ['--version'],
      env: { PATH: SYSTEM_PATH },
      keeps: 'stdout',
    } as const;
    ended = await runProgram({ ...asked, timeoutMs: VERSION_TIMEOUT_MS });
  } catch (error) {
    if (isUsedUp(error)) throw error;
    throw notRuntime(path, `--version: ${messageOf(error)}`, error);
  }
  if (ended.givenUp !== undefined) throw notRuntime(path, '--version: did not finish in time');
  if (ended.exitCode === 0) return ended.said;
  throw notRuntime(path, `--version: exited with ${ended.exitCode ?? 'a signal'}`);
}

function notRuntime(path: string, reason: string, cause?: unknown): StackshimError {
  return new StackshimError('ERR_STACKSHIM_RUNTIME_NOT_FOUND', `use runtime ${path}: ${reason}`, {
    hint: 'use runc, crun or another OCI runtime',
    details: { runtime: path },
    cause,
  });
}

function fingerprintOf(stats: Stats): Fingerprint {
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

/** Undefined when the file is absent, damaged or about another executable: it is only a cache. */
function readCache(file: string, path: string, fingerprint: Fingerprint): Runtime | undefined {
  const value = readKept(file);
  if (value === undefined || !isSame(value.fingerprint, fingerprint)) return undefined;
  const { kind, version } = value.runtime;
  return value.runtime.path === path ? { kind, path, version } : undefined;
}

function readKept(file: string): Remembered | undefined {
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

async function writeCache(file: string, directory: string, value: Remembered): Promise<void> {
  try {
    // Often the first file of a boot: a container's root passes through the run folder to its root filesystem.
    await ensureDirectory(dirname(directory), 0o711);
    await ensureDirectory(directory, 0o700);
    await writeFileAtomic(file, JSON.stringify(value), { durable: false });
  } catch (error) {
    // Whoever may not write there (doctor, not as root) asks the runtime again next time.
    const code = errnoCodeOf(error) ?? '';
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOSPC'].includes(code)) throw error;
  }
}

/** Removes the kept versions of executables that are gone or were replaced. */
export function clearStaleVersions(directory: string): void {
  for (const name of versionFiles(directory)) {
    const file = `${directory}/${name}`;
    const { path } = readKept(file)?.runtime ?? {};
    const stats = path === undefined ? undefined : statKept(path);
    const isFresh = path !== undefined && stats !== undefined;
    if (isFresh && readCache(file, path, fingerprintOf(stats)) !== undefined) continue;
    rmSync(file, { force: true });
  }
}

/** Undefined when there is none, whatever stands in its way. */
function statKept(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (errnoCodeOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Not those that are being written. */
const versionFiles = (directory: string): readonly string[] =>
  namesIn(directory).filter((name) => /^\d+-\d+\.json$/.test(name) || isAbandonedName(name));
