/** The files that runsc keeps for a container, side by side in its `--root`. */

import { readFileSync, rmSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import { namesIn } from '../../sys/files.ts';
import type { ContainerReference } from '../runtime.ts';

/** The existing files: `<id>_sandbox:<id>.state` and `.lock`, and the sandbox's control socket. */
export function runscFiles({ id, stateRoot }: ContainerReference): readonly string[] {
  return namesIn(stateRoot)
    .filter((name) => name.startsWith(`${id}_sandbox:`) || name === `runsc-${id}.sock`)
    .map((name) => `${stateRoot}/${name}`);
}

/** Removes the files; a second call does nothing. The state file goes last, because it names the socket. */
export function removeRunscFiles(container: ContainerReference): void {
  const socket = readControlSocket(container);
  if (socket !== undefined) rmSync(socket, { force: true });
  const isState = (path: string) => path.endsWith('.state');
  const files = runscFiles(container).toSorted((a, b) => Number(isState(a)) - Number(isState(b)));
  for (const path of files) rmSync(path, { force: true });
}

/** The path of the sandbox's control socket according to its state file; undefined without one. */
export function readControlSocket(container: ContainerReference): string | undefined {
  const { id, stateRoot } = container;
  const file = `${stateRoot}/${id}_sandbox:${id}.state`;
  const text = unlessMissing(() => readFileSync(file, 'utf8'));
  return text === undefined ? undefined : parseControlSocket(text, id);
}

/** The control socket in the text of a state file. A path is used only if runsc would have chosen it for this container. */
export function parseControlSocket(text: string, id: string): string | undefined {
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch (error) {
    // A killed runsc left a half-written file.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (!hasField(state, 'sandbox') || !hasField(state.sandbox, 'controlSocketPath'))
    return undefined;
  const path = state.sandbox.controlSocketPath;
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) return undefined;
  return path.endsWith(`/runsc-${id}.sock`) ? path : undefined;
}

function hasField<Name extends string>(value: unknown, name: Name): value is Record<Name, unknown> {
  return typeof value === 'object' && value !== null && name in value;
}
