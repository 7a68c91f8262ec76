/** Goes through the cgroups below one, whatever a task that may make cgroups has made there. */
import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import { entryPath } from '../sys/byte-path.ts';
import { fdPath } from '../sys/fd-path.ts';
import type { Fd } from '../sys/system.ts';
import { unlessGone } from './unless-gone.ts';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** What is called with a path of each cgroup, good for as long as the call. */
interface CgroupVisitor {
  /** Before those below it are visited. */
  readonly enter?: (directory: Buffer) => void;
  /** After those below it were. */
  readonly leave?: (directory: Buffer) => void;
}

/**
 * Visits the cgroups below `directory`. They may be nested deeper than a path can name, and be named by any bytes: so this goes from
 * folder to folder by descriptor, of which it holds two at a time. What goes away meanwhile is passed over.
 */
export function visitCgroupsBelow(directory: string, { enter, leave }: CgroupVisitor): void {
  const children = namesIn(directory);
  // As a rule there are none: then one descriptor, and no second one, is enough.
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

/** Where the visit is. */
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

  /** False when it is gone. */
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

/** Of the cgroups in a folder, in no order, as bytes (`latin1`). */
function namesIn(path: string): string[] {
  const entries = unlessGone(() => readdirSync(path, { withFileTypes: true, encoding: 'latin1' }));
  return (entries ?? []).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
