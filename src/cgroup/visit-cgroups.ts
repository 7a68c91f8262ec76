/** Visits the cgroups below one, whatever names and depths a task that can create cgroups has chosen. */
import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import { entryPath, fdPath } from '../sys/paths.ts';
import type { Fd } from '../sys/system.ts';
import { unlessGone } from './unless-gone.ts';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Called with a path of each cgroup, which is valid only during the call. */
interface CgroupVisitor {
  /** Called before the cgroups below are visited. */
  readonly enter?: (directory: Buffer) => void;
  /** Called after the cgroups below were visited. */
  readonly leave?: (directory: Buffer) => void;
}

/**
 * Visits the cgroups below `directory`. They may be nested deeper than a path can name, and their names may be any bytes. So the visit goes from
 * folder to folder by descriptor, of which it holds two at a time. Cgroups that disappear meanwhile are skipped.
 */
export function visitCgroupsBelow(directory: string, { enter, leave }: CgroupVisitor): void {
  const children = namesIn(directory);
  // Usually there are none: then one descriptor is enough.
  if (children.length === 0) return;
  const fd = unlessGone(() => openSync(directory, DIRECTORY));
  if (fd === undefined) return;
  const place = new Folder(fd);
  const names: string[] = [];
  const unvisited = [children];
  try {
    for (;;) {
      const name = unvisited.at(-1)?.pop();
      if (name !== undefined) {
        enter?.(place.pathOf(name));
        if (!place.moveTo(name)) continue;
        names.push(name);
        unvisited.push(place.childNames());
        continue;
      }
      const left = names.pop();
      if (left === undefined || !place.moveTo('..')) return;
      unvisited.pop();
      leave?.(place.pathOf(left));
    }
  } finally {
    place.close();
  }
}

/** The position of the visit. */
class Folder {
  #fd: Fd;

  constructor(fd: Fd) {
    this.#fd = fd;
  }

  pathOf(name: string): Buffer {
    return entryPath(Buffer.from(fdPath(this.#fd)), name);
  }

  childNames(): string[] {
    return namesIn(fdPath(this.#fd));
  }

  /** False when the folder has disappeared. */
  moveTo(name: string): boolean {
    const fd = unlessGone(() => openSync(this.pathOf(name), DIRECTORY));
    if (fd === undefined) return false;
    closeSync(this.#fd);
    this.#fd = fd;
    return true;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Names of the cgroups in a folder, in no order, as bytes (`latin1`). */
function namesIn(path: string): string[] {
  const entries = unlessGone(() => readdirSync(path, { withFileTypes: true, encoding: 'latin1' }));
  return (entries ?? []).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
