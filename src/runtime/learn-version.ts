/** Asks a runtime for its version, once per executable, and stores the answer for other processes. */
import { rmSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoCodeOf, isUsedUp, messageOf, StackshimError } from '../core/errors.ts';
import { isStaleName, namesIn } from '../sys/files.ts';
import { type EndedProgram, runProgram } from '../sys/run-program.ts';
import { SYSTEM_PATH } from '../sys/start-program.ts';
import { ensureDirectory, writeFileAtomic } from '../sys/write-file.ts';
import type { Runtime } from './runtime.ts';
import {
  cacheFileOf,
  fingerprintOf,
  isOf,
  kindOf,
  type Remembered,
  readKept,
  rememberRuntime,
} from './runtime-version.ts';

const VERSION_TIMEOUT_MS = 10_000;
const MAX_OUTPUT_BYTES = 65_536;

/** Asks the runtime at `path` for its kind and version. Rejects with ERR_STACKSHIM_RUNTIME_NOT_FOUND if it is no OCI runtime or cannot be run. */
export async function learnRuntime(
  path: string,
  stats: Stats,
  directory: string,
): Promise<Runtime> {
  const runtime = parseVersionOutput(path, await askVersion(path));
  const found = { fingerprint: fingerprintOf(stats), runtime };
  await writeCache(cacheFileOf(stats, directory), directory, found);
  rememberRuntime(found);
  return runtime;
}

/** Parses the output of `--version`. Throws ERR_STACKSHIM_RUNTIME_NOT_FOUND unless it is an OCI runtime's. */
export function parseVersionOutput(path: string, output: string): Runtime {
  const match = /^(\S+) version (?:release-)?(\d\S*)$/m.exec(output.slice(0, MAX_OUTPUT_BYTES));
  const [, name, version] = match ?? [];
  const kind = kindOf(name);
  // Many programs print `NAME version N`; only runtimes name their specification.
  if (version === undefined || (kind === 'other' && !/^spec: \d/m.test(output))) {
    throw notRuntime(path, 'not an OCI runtime');
  }
  return { kind, path, version };
}

async function askVersion(path: string): Promise<string> {
  let ended: EndedProgram;
  try {
    ended = await runProgram({
      path,
      args: ['--version'],
      env: { PATH: SYSTEM_PATH },
      keeps: 'stdout',
      timeoutMs: VERSION_TIMEOUT_MS,
    });
  } catch (error) {
    if (isUsedUp(error)) throw error;
    throw notRuntime(path, `--version: ${messageOf(error)}`, error);
  }
  if (ended.givenUp !== undefined) throw notRuntime(path, '--version: did not finish in time');
  if (ended.exitCode === 0) return ended.output;
  throw notRuntime(path, `--version: exited with ${ended.exitCode ?? 'a signal'}`);
}

function notRuntime(path: string, reason: string, cause?: unknown): StackshimError {
  return new StackshimError('ERR_STACKSHIM_RUNTIME_NOT_FOUND', `use runtime ${path}: ${reason}`, {
    hint: 'use runc, crun or another OCI runtime',
    details: { runtime: path },
    cause,
  });
}

async function writeCache(file: string, directory: string, value: Remembered): Promise<void> {
  try {
    // This may be a boot's first file. The run folder's mode lets a container's root pass through to its root filesystem.
    await ensureDirectory(dirname(directory), 0o711);
    await ensureDirectory(directory, 0o700);
    await writeFileAtomic(file, JSON.stringify(value), { durable: false });
  } catch (error) {
    // A user who may not write here, such as `doctor` without root, asks the runtime again next time.
    const code = errnoCodeOf(error) ?? '';
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOSPC'].includes(code)) throw error;
  }
}

/** Removes stored versions of executables that are gone or were replaced, and temporary files of dead processes. */
export function clearStaleVersions(directory: string): void {
  for (const name of namesIn(directory)) {
    if (!/^\d+-\d+\.json$/.test(name) && !isStaleName(name)) continue;
    const file = `${directory}/${name}`;
    const kept = readKept(file);
    const stats = kept && statKept(kept.runtime.path);
    if (kept !== undefined && stats !== undefined && isOf(kept, stats)) continue;
    rmSync(file, { force: true });
  }
}

/** Undefined if the file does not exist or cannot be reached. */
function statKept(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (errnoCodeOf(error) === undefined) throw error;
    return undefined;
  }
}
