/** Fixed paths: where a task finds its files, and where a host may have an init program. */

/** The code, writable; the working directory when there is code. */
export const TASK_DIR = '/task';
/** Read-only, byte for byte what was given. */
export const PAYLOAD_FILE = '/run/stackshim/payload';
export const CONFIG_FILE = '/run/stackshim/config';
/** Where `--init` binds the host's init program; in `/dev`, so that the task's files stay untouched. */
export const INIT_FILE = '/dev/stackshim-init';

/** Statically linked init programs as distributions install them, best first; Debian's package is `tini`. */
export const INIT_CANDIDATES: readonly string[] = [
  '/usr/bin/tini-static',
  '/usr/bin/docker-init',
  '/usr/libexec/docker/docker-init',
  '/usr/libexec/podman/catatonit',
];
