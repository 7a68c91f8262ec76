/** A task's input files: payload, config and host names, byte for byte. */
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFile,
  existsSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import type { BindMount, IdRange } from '../core/mount.ts';
import { CONFIG_FILE, PAYLOAD_FILE } from '../oci/build-mounts.ts';
import type { CommandSpec, ContainerSpec, FileInput } from '../spec/task-spec.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { fdPath, openPlain } from '../sys/paths.ts';
import type { Fd } from '../sys/system.ts';
import type { TaskPlaces } from './records/task-places.ts';

/** An input file, which is read-only in the task. */
export interface TaskFile {
  readonly input: FileInput;
  /** The name in the task's inputs folder. */
  readonly name: string;
  readonly target: string;
}

const HOSTS_FILE = '/etc/hosts';
const RESOLV_CONF = '/etc/resolv.conf';

/** Files that replace the host's, except where the task has a bind of its own at the path. */
export function planHostFiles(spec: ContainerSpec, hostname: string): readonly TaskFile[] {
  const files: TaskFile[] = [
    { name: 'hosts', target: HOSTS_FILE, input: { kind: 'text', text: buildHostsFile(hostname) } },
  ];
  if (spec.network === 'host' && existsSync(RESOLV_CONF)) {
    const input = { kind: 'file', path: realpathSync(RESOLV_CONF) } as const;
    files.push({ name: 'resolv.conf', target: RESOLV_CONF, input });
  }
  const mounted = new Set(spec.mounts.map(({ target }) => target));
  return files.filter(({ target }) => !mounted.has(target));
}

export function planInputFiles({ payload, config }: CommandSpec): readonly TaskFile[] {
  const files: TaskFile[] = [];
  if (payload !== undefined) files.push({ name: 'payload', target: PAYLOAD_FILE, input: payload });
  if (config !== undefined) files.push({ name: 'config', target: CONFIG_FILE, input: config });
  return files;
}

export const toFileBind = ({ name, target }: TaskFile, places: TaskPlaces): BindMount => ({
  type: 'bind',
  source: toSource(name, places),
  target,
  readOnly: true,
});

const toSource = (name: string, { inputsDir }: TaskPlaces) => `${inputsDir}/${name}`;

/**
 * Writes the files below the task's scratch folder.
 *
 * @param ids The files' owner; null: root of the host.
 */
export async function writeInputs(
  files: readonly TaskFile[],
  places: TaskPlaces,
  ids: IdRange | null,
): Promise<void> {
  ensureDirectorySync(places.inputsDir, 0o700);
  for (const { input, name } of files) await writeInput(input, toSource(name, places), ids);
}

/** Copies exactly the file that the policy allowed, by its path without links. */
async function copyInput(path: string, target: string): Promise<void> {
  let fd: Fd | undefined;
  try {
    fd = openPlain(path, { followLinks: false });
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}`);
  }
  if (fd === undefined) {
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: not a regular file`);
  }
  const source = fdPath(fd);
  try {
    await new Promise<void>((resolve, reject) => {
      copyFile(source, target, (error) => (error ? reject(error) : resolve()));
    });
  } finally {
    closeSync(fd);
  }
}

async function writeInput(input: FileInput, path: string, ids: IdRange | null): Promise<void> {
  if (input.kind === 'text') writeFileSync(path, input.text);
  else await copyInput(input.path, path);
  // Any user of the task may read it, and only the task sees it.
  chmodSync(path, 0o444);
  if (ids !== null) chownSync(path, ids.base, ids.base);
}

/** The text of /etc/hosts. The task's own name gets a loopback address, as on a Debian host without a fixed address. */
export function buildHostsFile(hostname: string): string {
  return [
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost ip6-loopback',
    `127.0.1.1 ${hostname}`,
    '',
  ].join('\n');
}
