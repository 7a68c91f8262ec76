/** The folder below its `--root` in which a runtime keeps what it knows of a container. */
import { statSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import { removeTree } from '../sys/remove-tree.ts';
import type { ContainerReference } from './runtime.ts';

const CONTAINER_ID = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;

/** Throws ERR_STACKSHIM_INTERNAL for an id that is no plain file name. */
export function stateDirectoryOf({ id, stateRoot }: ContainerReference): string {
  if (!CONTAINER_ID.test(id)) {
    throw new StackshimError('ERR_STACKSHIM_INTERNAL', `container id ${JSON.stringify(id)}`);
  }
  return `${stateRoot}/${id}`;
}

export const hasStateDirectory = (container: ContainerReference): boolean =>
  statSync(stateDirectoryOf(container), { throwIfNoEntry: false }) !== undefined;

/** For runc and crun it is all there is; their `delete` starts a program for that (measured: 5 ms). */
export const removeStateDirectory = (container: ContainerReference): Promise<void> =>
  removeTree(stateDirectoryOf(container));
