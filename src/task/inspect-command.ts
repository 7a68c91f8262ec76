/**
 * Looks up a task's command and working directory in its root filesystem, for runsc; runc and crun report what is wrong with them.
 * runsc uses one text for a missing program and a missing interpreter, and does not report a working directory that is a file.
 */

import { fstatSync, openSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { errnoCodeOf, hasCode, StackshimError } from '../core/errors.ts';
import type { RootfsPlan } from '../rootfs/plan-rootfs.ts';
import { withFd, withSystemFd } from '../sys/paths.ts';
import type { System } from '../sys/system.ts';

export interface CommandPlace {
  readonly command: readonly string[];
  /** `K=V` entries. */
  readonly env: readonly string[];
  readonly cwd: string;
}

/**
 * Whether a file exists where the command is looked up. Precondition: the root filesystem and its binds are
 * mounted. Throws ERR_STACKSHIM_SPEC_INVALID if the working directory is not a directory and cannot be created.
 */
export function inspectCommand(
  system: System,
  rootfs: Pick<RootfsPlan, 'rootfs' | 'binds'>,
  place: CommandPlace,
): boolean {
  const cwd = kindAt(system, rootfs, place.cwd);
  if (cwd === 'file' || cwd === 'blocked') {
    const message = `working directory ${place.cwd}: not a directory`;
    const details = { field: 'workdir', value: place.cwd };
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { details });
  }
  return candidates(place).some((path) => kindAt(system, rootfs, path) === 'file');
}

/** Turns "not found" for an existing command into an error about its interpreter or libraries. Returns other errors unchanged. */
export function toExecutionError(error: unknown): unknown {
  if (!hasCode(error, 'ERR_STACKSHIM_COMMAND_NOT_FOUND')) return error;
  const { message, details, cause } = error;
  return new StackshimError('ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE', message, { details, cause });
}

function candidates({ command, env, cwd }: CommandPlace): readonly string[] {
  const [name = ''] = command;
  if (name.includes('/')) return [posix.resolve(cwd, name)];
  const path = env.find((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  return path.split(':').map((folder) => posix.resolve(cwd, folder, name));
}

/** `blocked`: a component of the path is a file. */
type Kind = 'directory' | 'file' | 'blocked' | 'missing';

/** Looks in the bind that covers the path, otherwise in the root filesystem. */
function kindAt(
  system: System,
  { rootfs, binds }: Pick<RootfsPlan, 'rootfs' | 'binds'>,
  path: string,
): Kind {
  const bind = binds.findLast(({ target }) => path === target || path.startsWith(`${target}/`));
  if (path === bind?.target) return statSync(bind.source).isDirectory() ? 'directory' : 'file';
  return withFd(openSync(bind?.source ?? rootfs, 'r'), (root) =>
    kindBeneath(system, root, path.slice(bind?.target.length ?? 0)),
  );
}

function kindBeneath(system: System, root: number, path: string): Kind {
  let fd: number;
  try {
    fd = system.openInRoot(root, path);
  } catch (error) {
    return errnoCodeOf(error) === 'ENOTDIR' ? 'blocked' : 'missing';
  }
  return withSystemFd(system, fd, () => (fstatSync(fd).isDirectory() ? 'directory' : 'file'));
}
