/** What a task is given to read: its packed code, payload and config, each byte for byte. */
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import type { BindMount, IdRange, LayerSource } from '../core/mount.ts';
import { CONFIG_FILE, PAYLOAD_FILE } from '../oci/task-paths.ts';
import type { AdmittedTaskSpec, FileInput } from '../spec/task-spec.ts';
import { ensureDirectorySync } from '../sys/files.ts';
import type { TaskPlaces } from './task-places.ts';

export interface TaskInputs {
  readonly code?: LayerSource;
  readonly binds: readonly BindMount[];
}

export interface TaskInputsOptions {
  /** Whom the files belong to; null: the host's root. */
  readonly ids: IdRange | null;
  readonly signal: AbortSignal;
}

/** Writes everything below the task's scratch folder. Rejects with the packages' errors for code that is not fit. */
export async function writeTaskInputs(
  spec: AdmittedTaskSpec,
  places: TaskPlaces,
  options: TaskInputsOptions,
): Promise<TaskInputs> {
  const binds: BindMount[] = [];
  for (const [input, name, target] of [
    [spec.payload, 'payload', PAYLOAD_FILE],
    [spec.config, 'config', CONFIG_FILE],
  ] as const) {
    if (input === undefined) continue;
    const source = `${places.inputsDir}/${name}`;
    ensureDirectorySync(places.inputsDir, 0o700);
    await writeInput(input, source, options.ids);
    binds.push({ type: 'bind', source, target, readOnly: true });
  }
  if (spec.code === undefined) return { binds };
  ensureDirectorySync(places.scratchDir, 0o700);
  const { packCode } = await import('../packages/pack-code.ts');
  await packCode(spec.code, places.codeFile, { signal: options.signal });
  return { binds, code: { kind: 'file', path: places.codeFile } };
}

async function writeInput(input: FileInput, path: string, ids: IdRange | null): Promise<void> {
  if (input.kind === 'text') writeFileSync(path, input.text);
  else await copyFile(input.path, path);
  // Any user of the task may read it; only the task sees it.
  chmodSync(path, 0o444);
  if (ids !== null) chownSync(path, ids.base, ids.base);
}
