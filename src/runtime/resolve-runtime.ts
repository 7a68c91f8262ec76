/** Finds an OCI runtime's executable, kind and version by name or path. */
import { existsSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StackshimError, unlessFailed } from '../core/errors.ts';
import { type Layout, runtimeCopiesDir, runtimesDir, runtimeVersionsDir } from '../core/layout.ts';
import { SYSTEM_FOLDERS } from '../sys/start-program.ts';
import { requireTrustedPath } from '../sys/trusted-path.ts';
import { driverOf, RUNTIME_NAMES } from './drivers/driver-of.ts';
import type { Runtime } from './runtime.ts';
import { copyFileOf, isOlderThan, knownRuntime } from './runtime-version.ts';

export interface ResolveRuntimeOptions {
  readonly layout: Layout;
  /** Where to find a named runtime after the installation's own folder. Default: the system's folders; never the caller's PATH. */
  readonly searchDirectories?: readonly string[];
}

/**
 * Finds the runtime named `runc`, `crun` or `runsc` (the installation's own first), or the one at an absolute path. Rejects with
 * ERR_STACKSHIM_SPEC_INVALID for any other name, _RUNTIME_NOT_FOUND, _RUNTIME_TOO_OLD, and _PATH_UNTRUSTED for a runtime that a user other than
 * root could have changed.
 */
export async function resolveRuntime(
  requested: string,
  options: ResolveRuntimeOptions,
): Promise<Runtime> {
  const { path, stats } = findExecutable(requested, options);
  // Checked on each call: it takes only a few lstat calls, and a process may live for months.
  requireTrustedPath(path, 'use runtime');
  const versions = runtimeVersionsDir(options.layout);
  let runtime = knownRuntime(path, stats, versions);
  if (runtime === undefined) {
    const { learnRuntime } = await import('./learn-version.ts');
    runtime = await learnRuntime(path, stats, versions);
  }
  const least = driverOf(runtime).oldestVersion;
  if (least !== undefined && isOlderThan(runtime.version, least)) {
    const message = `use runtime ${path}: ${runtime.kind} ${runtime.version} is older than ${least}`;
    const details = { runtime: path, version: runtime.version, oldest: least };
    throw new StackshimError('ERR_STACKSHIM_RUNTIME_TOO_OLD', message, { details });
  }
  return runtime;
}

/**
 * Like {@link resolveRuntime}, for a task: starts the runtime from a copy in huge pages, which saves a twentieth of a start. A boot's first task
 * makes the copy; where that is impossible, the runtime itself is started.
 */
export async function prepareTaskRuntime(
  requested: string,
  options: ResolveRuntimeOptions,
): Promise<Runtime> {
  const runtime = await resolveRuntime(requested, options);
  if (!driverOf(runtime).gainsFromHugePages) return runtime;
  const copy = copyFileOf(runtimeCopiesDir(options.layout), statSync(runtime.path));
  if (statExecutable(copy) !== undefined) return { ...runtime, copy };
  // The folder marks the boot's only try. Another process may be making the copy.
  if (existsSync(dirname(copy))) return runtime;
  const { copyRuntime } = await import('./copy-runtime.ts');
  return copyRuntime(runtime.path, copy) ? { ...runtime, copy } : runtime;
}

function findExecutable(
  requested: string,
  { layout, searchDirectories = SYSTEM_FOLDERS }: ResolveRuntimeOptions,
): { readonly path: string; readonly stats: Stats } {
  const isPath = requested.startsWith('/');
  if (!isPath && !RUNTIME_NAMES.some((known) => known === requested)) {
    const text = `find runtime ${JSON.stringify(requested)}: not ${RUNTIME_NAMES.join(', ')} or an absolute path`;
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, { details: { field: 'runtime' } });
  }
  const folders = [runtimesDir(layout), ...searchDirectories];
  for (const path of isPath ? [requested] : folders.map((folder) => `${folder}/${requested}`)) {
    const stats = statExecutable(path);
    if (stats !== undefined) return { path, stats };
  }
  const problem = isPath ? 'no executable file' : 'not installed';
  const text = `find runtime ${requested}: ${problem}`;
  const hint = `install Debian's package ${requested}, or name another runtime with --runtime`;
  const unknown = { details: { runtime: requested } };
  const missing = { hint, details: { runtime: requested, package: requested } };
  throw new StackshimError('ERR_STACKSHIM_RUNTIME_NOT_FOUND', text, isPath ? unknown : missing);
}

/** Undefined also if a component of the path is no folder or cannot be entered: there is no runtime there. */
function statExecutable(path: string): Stats | undefined {
  const stats = unlessFailed(() => statSync(path, { throwIfNoEntry: false }), UNREACHABLE);
  return stats?.isFile() && (stats.mode & 0o111) !== 0 ? stats : undefined;
}

const UNREACHABLE = ['ENOTDIR', 'EACCES', 'ELOOP'];
