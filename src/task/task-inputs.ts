/** What a task is given to read: its packed code, payload, config and host names, each byte for byte. */
import { chmodSync, chownSync, closeSync, existsSync, realpathSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import type { BindMount, IdRange, LayerSource } from '../core/mount.ts';
import type { WorkerHost } from '../layers/claim-worker.ts';
import { buildHostsFile } from '../oci/build-hosts-file.ts';
import { CONFIG_FILE, PAYLOAD_FILE } from '../oci/task-paths.ts';
import type { AdmittedTaskSpec, FileInput } from '../spec/task-spec.ts';
import { fdPath } from '../sys/fd-path.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import { openPlain } from '../sys/real-path.ts';
import type { Fd } from '../sys/system.ts';
import type { TaskPlaces } from './records/task-places.ts';

/** A read-only file of the task's. */
export interface TaskFile {
  readonly input: FileInput;
  /** Name in the task's folder of inputs. */
  readonly name: string;
  readonly target: string;
}

export interface TaskInputs {
  readonly code?: LayerSource;
  readonly binds: readonly BindMount[];
}

export interface TaskInputsOptions {
  /** The owner of the files; null: the host's root. */
  readonly ids: IdRange | null;
  readonly signal: AbortSignal;
  /** For the programs that read the code. */
  readonly workers: WorkerHost;
}

const HOSTS_FILE = '/etc/hosts';
const RESOLV_CONF = '/etc/resolv.conf';

/** Which files a task gets. A path that the task mounts something of its own on is left alone. */
export function planTaskFiles(spec: AdmittedTaskSpec, hostname: string): readonly TaskFile[] {
  const files: TaskFile[] = [
    { name: 'hosts', target: HOSTS_FILE, input: { kind: 'text', text: buildHostsFile(hostname) } },
  ];
  if (spec.network === 'host' && existsSync(RESOLV_CONF)) {
    const input = { kind: 'file', path: realpathSync(RESOLV_CONF) } as const;
    files.push({ name: 'resolv.conf', target: RESOLV_CONF, input });
  }
  const mounted = new Set(spec.mounts.map(({ target }) => target));
  const wanted = files.filter(({ target }) => !mounted.has(target));
  if (spec.payload !== undefined) {
    wanted.push({ name: 'payload', target: PAYLOAD_FILE, input: spec.payload });
  }
  if (spec.config !== undefined) {
    wanted.push({ name: 'config', target: CONFIG_FILE, input: spec.config });
  }
  return wanted;
}

/** Writes everything below the task's scratch folder. Rejects with the packages' errors for code that is not fit. */
export async function writeTaskInputs(
  code: string | undefined,
  files: readonly TaskFile[],
  { places, ids, signal, workers }: TaskInputsOptions & { readonly places: TaskPlaces },
): Promise<TaskInputs> {
  ensureDirectorySync(places.inputsDir, 0o700);
  const binds: BindMount[] = [];
  for (const { input, name, target } of files) {
    const source = `${places.inputsDir}/${name}`;
    await writeInput(input, source, ids);
    binds.push({ type: 'bind', source, target, readOnly: true });
  }
  if (code === undefined) return { binds };
  const { packCode } = await import('../packages/pack-code.ts');
  await packCode(code, places.codeFile, { signal, followLinks: false, workers });
  return { binds, code: { kind: 'file', path: places.codeFile } };
}

/** Of the file that the policy has allowed, at its path without links, and of no other. */
async function copyInput(path: string, target: string): Promise<void> {
  const fd = openInput(path);
  try {
    await copyFile(fdPath(fd), target);
  } finally {
    closeSync(fd);
  }
}

function openInput(path: string): Fd {
  try {
    const fd = openPlain(path, { followLinks: false });
    if (fd !== undefined) return fd;
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}`);
  }
  throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: not a regular file`);
}

async function writeInput(input: FileInput, path: string, ids: IdRange | null): Promise<void> {
  if (input.kind === 'text') writeFileSync(path, input.text);
  else await copyInput(input.path, path);
  // Any user of the task may read it; only the task sees it.
  chmodSync(path, 0o444);
  if (ids !== null) chownSync(path, ids.base, ids.base);
}
