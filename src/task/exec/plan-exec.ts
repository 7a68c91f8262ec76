/** Plans the process of a further command: the process of the task's own command, with the caller's changes. */
import { buildCapabilities, requireMappedUser } from '../../oci/build-process.ts';
import type { OciProcess } from '../../oci/oci-config.ts';
import type { ResolvedUser } from '../../oci/resolve-user.ts';
import type { WindowSize } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import type { ExecRequest } from './exec-options.ts';
import type { ExecTarget } from './find-exec-target.ts';
import type { FoundUsers } from './find-exec-users.ts';
import { readStoredConfig, type StoredConfig } from './read-stored-config.ts';

/**
 * Plans the process to start, and what the runtime must know about the container. Reads nothing that the task can change. Rejects with
 * ERR_STACKSHIM_SPEC_INVALID for a user that the image or the task's user namespace does not have, and ERR_STACKSHIM_RECORD_CORRUPT if the
 * task's configuration cannot be read. `size` is the initial size of the command's terminal.
 */
export async function planExec(
  installation: Installation,
  target: ExecTarget,
  { request, size }: { readonly request: ExecRequest; readonly size: WindowSize | undefined },
): Promise<StoredConfig> {
  const stored = readStoredConfig(target.places);
  const { process, ids } = stored;
  const { command, workdir, user, tty } = request;
  let found: FoundUsers | undefined;
  if (user !== undefined) {
    // Most commands have the user of the task's own command, and do not need the code that reads images.
    const { findExecUsers } = await import('./find-exec-users.ts');
    found = findExecUsers(installation, target, { user, process });
  }
  if (found !== undefined && ids !== null) requireMappedUser(found.user, ids);
  const { consoleSize: _, ...kept } = process;
  return {
    ...stored,
    process: {
      ...kept,
      ...(found === undefined ? {} : asUser(process, found.user)),
      args: command,
      cwd: workdir ?? process.cwd,
      env: joinEnv(process.env, request, found),
      terminal: tty,
      ...(size === undefined ? {} : { consoleSize: { height: size.rows, width: size.columns } }),
    },
  };
}

const asUser = (
  { capabilities }: OciProcess,
  { uid, gid, additionalGids }: ResolvedUser,
): Pick<OciProcess, 'user' | 'capabilities'> => ({
  user: { uid, gid, additionalGids },
  capabilities: buildCapabilities(capabilities.bounding, uid),
});

/** The task's variables, overridden by the caller's. HOME follows the user, unless the task or the caller has set it. */
function joinEnv(
  entries: readonly string[],
  { env, tty }: Pick<ExecRequest, 'env' | 'tty'>,
  homes: FoundUsers | undefined,
): readonly string[] {
  const joined = new Map<string, string>();
  if (tty) joined.set('TERM', 'xterm');
  for (const entry of entries) {
    const at = entry.indexOf('=');
    joined.set(entry.slice(0, at), entry.slice(at + 1));
  }
  if (homes !== undefined && joined.get('HOME') === (homes.before.home ?? '/')) {
    joined.set('HOME', homes.user.home ?? '/');
  }
  for (const [name, value] of Object.entries(env)) joined.set(name, value);
  return Array.from(joined, ([name, value]) => `${name}=${value}`);
}
