/** An archive's content so far as a tree: paths, kinds of entries, and the cost of looking them up. */
import { parentOf } from './entry-path.ts';
import type { ByteString, EntryKind } from './tar-entry.ts';

/** `dropped`: the entry was left out. */
export type NodeKind = EntryKind | 'dropped';

interface Node {
  kind: NodeKind;
  readonly parent: Node | undefined;
  children: number;
  /** The child folder looked up last, which `mkfs.erofs` finds at once. */
  latest: Node | undefined;
}

export class EntryTree {
  readonly #nodes = new Map<ByteString, Node>([
    ['', { kind: 'directory', parent: undefined, children: 0, latest: undefined }],
  ]);
  readonly #attributed = new Set<ByteString>();
  #lookupSteps = 0;

  /** Entries that `mkfs.erofs` has passed in all look-ups so far. */
  get lookupSteps(): number {
    return this.#lookupSteps;
  }

  kindAt(path: ByteString): NodeKind | undefined {
    return this.#nodes.get(path)?.kind;
  }

  /** The nearest ancestor of `path` that is not a folder. */
  blockerOf(path: ByteString): ByteString | undefined {
    for (let at = path; at !== ''; ) {
      at = parentOf(at);
      const kind = this.kindAt(at);
      if (kind === 'directory') return undefined;
      if (kind !== undefined) return at;
    }
    return undefined;
  }

  /** Missing ancestors of `path`, outermost first. */
  missingParents(path: ByteString): readonly ByteString[] {
    const missing: ByteString[] = [];
    for (let at = parentOf(path); !this.#nodes.has(at); at = parentOf(at)) missing.unshift(at);
    return missing;
  }

  /** Adds `path`, or changes its kind. Precondition: all its ancestors exist. */
  add(path: ByteString, kind: NodeKind): void {
    const node = this.#nodes.get(path);
    if (node !== undefined) {
      node.kind = kind;
      return;
    }
    const parent = this.lookUp(path);
    parent.children += 1;
    this.#nodes.set(path, { kind, parent, children: 0, latest: undefined });
  }

  /** Marks the folder `path` as having extended attributes. */
  markAttributed(path: ByteString): void {
    this.#attributed.add(path);
  }

  isAttributed(path: ByteString): boolean {
    return this.#attributed.has(path);
  }

  /** Counts a look-up of `path` and returns its folder. Precondition: all its ancestors exist. */
  lookUp(path: ByteString): Node {
    const folder = this.#nodes.get(parentOf(path));
    if (folder === undefined) throw new Error('a path was entered before its folder');
    this.#lookupSteps += folder.children;
    for (let at = folder; at.parent !== undefined; at = at.parent) {
      if (at.parent.latest === at) continue;
      this.#lookupSteps += at.parent.children;
      at.parent.latest = at;
    }
    return folder;
  }
}
