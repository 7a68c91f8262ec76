/** The files that runsc keeps of a container, beside each other in its `--root`. */

import { readFileSync, rmSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import { parseJson } from '../../core/read-fields.ts';
import { namesIn } from '../../sys/files.ts';
import type { ContainerReference } from '../runtime.ts';

/** Of those that exist: `<id>_sandbox:<id>.state` and `.lock`, and the sandbox's control socket. */
export function runscFiles({ id, stateRoot }: ContainerReference): readonly string[] {
  return namesIn(stateRoot)
    .filter((name) => name.startsWith(`${id}_sandbox:`) || name === `runsc-${id}.sock`)
    .map((name) => `${stateRoot}/${name}`);
}

/** Removes them; a second call does nothing. The state goes last: it names the socket. */
export function removeRunscFiles(container: ContainerReference): void {
  const socket = readControlSocket(container);
  if (socket !== undefined) rmSync(socket, { force: true });
  const isState = (path: string) => path.endsWith('.state');
  const files = runscFiles(container).toSorted((a, b) => Number(isState(a)) - Number(isState(b)));
  for (const path of files) rmSync(path, { force: true });
}

/** Path of the sandbox's control socket, as its state file has it; undefined without one. */
export function readControlSocket(container: ContainerReference): string | undefined {
  const { id, stateRoot } = container;
  const file = `${stateRoot}/${id}_sandbox:${id}.state`;
  const text = unlessMissing(() => readFileSync(file, 'utf8'));
  return text === undefined ? undefined : parseControlSocket(text, id);
}

/** A path in a state file is used only if it is one that runsc would have made for this container. */
export function parseControlSocket(text: string, id: string): string | undefined {
  // Half-written by a runsc that was killed: undefined.
  const state = parseJson(text);
  if (!hasField(state, 'sandbox') || !hasField(state.sandbox, 'controlSocketPath'))
    return undefined;
  const path = state.sandbox.controlSocketPath;
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) return undefined;
  return path.endsWith(`/runsc-${id}.sock`) ? path : undefined;
}

function hasField<Name extends string>(value: unknown, name: Name): value is Record<Name, unknown> {
  return typeof value === 'object' && value !== null && name in value;
}
