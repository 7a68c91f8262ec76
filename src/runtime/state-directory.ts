/** The folder below its `--root` in which a runtime keeps the state of a container. */
import { statSync } from 'node:fs';
import { StackshimError } from '../core/errors.ts';
import { removeTree } from '../sys/remove-tree.ts';
import type { ContainerReference } from './runtime.ts';

const CONTAINER_ID = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;

/** The path of that folder. Throws ERR_STACKSHIM_INTERNAL for an id that is not a plain file name. */
export function stateDirectoryOf({ id, stateRoot }: ContainerReference): string {
  if (!CONTAINER_ID.test(id)) {
    throw new StackshimError(
      'ERR_STACKSHIM_INTERNAL',
      `use container id ${JSON.stringify(id)}: not a plain file name`,
    );
  }
  return `${stateRoot}/${id}`;
}

export const hasStateDirectory = (container: ContainerReference): boolean =>
  statSync(stateDirectoryOf(container), { throwIfNoEntry: false }) !== undefined;

/** Removes the folder, which for runc and crun is all of the state; their `delete` starts a program to do so (measured: 5 ms). */
export const removeStateDirectory = (container: ContainerReference): Promise<void> =>
  removeTree(stateDirectoryOf(container));
